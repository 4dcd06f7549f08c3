"""The first line of every report: on what it was measured."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from pathlib import Path


def describe(server_version: str) -> str:
    """Return CPU, cores, system and versions in one line.

    Args:
        server_version: The version of the Redis that runs.
    """
    return ", ".join(
        (
            f"{_cpu()}, {os.cpu_count()} cores",
            f"{platform.system()} {platform.release().partition('-')[0]}",
            f"{platform.python_implementation()} {platform.python_version()}",
            f"redis-py {version_of('redis')}",
            f"hiredis {version_of('hiredis')}",
            f"redis-server {server_version}",
            f"nowserving {version_of('nowserving')}",
        )
    )


def version_of(distribution: str) -> str:
    """Return the version of an installed distribution; ours may run from its checkout instead."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return "from source" if distribution == "nowserving" else "not installed"


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    for line in lines:
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.machine()
