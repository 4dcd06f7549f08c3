"""The wheel in an empty environment: what works on the bare standard library, and what is told."""

from __future__ import annotations

import subprocess
import sys
from email.parser import HeaderParser
from pathlib import Path
from zipfile import ZipFile

import pytest

import nowserving

ROOT = Path(__file__).parents[2]

IN_MEMORY = """
import asyncio, sys
import nowserving

async def main(store):
    async with store.lock("c", auto_renew=True) as lock:
        assert lock.ticket == 0

for store in (nowserving.InMemoryLockStore(), nowserving.LockStore.create("memory://")):
    with store, store.lock("c"):
        pass
asyncio.run(main(nowserving.LockStore.create(None)))
ours = {name.partition(".")[0] for name in sys.modules}
assert ours - {"nowserving"} <= sys.stdlib_module_names | {"__main__"}, ours
print(nowserving.__version__)
"""
REDIS = """
import nowserving
from nowserving import EndpointConfig, LockStore, RedisLockStore

for make in (
    RedisLockStore,
    lambda: LockStore.create("redis://localhost"),
    lambda: LockStore.create(EndpointConfig(type="redis")),
    lambda: LockStore.create(EndpointConfig(type="nowserving.RedisLockStore")),
):
    try:
        make()
    except nowserving.ConfigurationError as error:
        print(error)
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder))
    (found,) = folder.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def empty(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of executables of an environment with nothing but the wheel."""
    folder = tmp_path_factory.mktemp("environment")
    run(sys.executable, "-m", "venv", "--without-pip", str(folder))
    python = str(folder / "bin" / "python")
    pip = [sys.executable, "-m", "pip", "--python", python, "--disable-pip-version-check"]
    run(*pip, "install", "--quiet", "--no-index", "--no-deps", str(wheel))
    return folder / "bin"


def run(*command: str, status: int = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == status, done.stderr
    return done


def python(empty: Path, code: str, status: int = 0) -> subprocess.CompletedProcess[str]:
    return run(str(empty / "python"), "-I", "-W", "error", "-c", code, status=status)


def test_the_bare_standard_library_is_enough_in_memory(empty: Path) -> None:
    assert python(empty, IN_MEMORY).stdout.strip() == nowserving.__version__


def test_a_redis_store_names_the_extra_to_install(empty: Path) -> None:
    told = python(empty, REDIS).stdout.splitlines()
    assert len(told) == 4
    for line in told:
        assert "pip install 'nowserving[redis]'" in line


def test_the_command_names_its_extra(empty: Path) -> None:
    for command in ([str(empty / "nowserving")], [str(empty / "python"), "-Im", "nowserving"]):
        done = run(*command, "verify", status=2)
        assert "pip install 'nowserving[cli]'" in done.stderr
        assert "Traceback" not in done.stderr


def test_the_conformance_suite_names_its_extra(empty: Path) -> None:
    done = python(empty, "import nowserving.testing", status=1)
    assert "pip install 'nowserving[testing]'" in done.stderr.splitlines()[-1]


def test_extras_and_pythons_are_those_there_is_something_behind(wheel: Path) -> None:
    with ZipFile(wheel) as archive:
        (path,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        metadata = HeaderParser().parsestr(archive.read(path).decode())
    assert metadata["Version"] == nowserving.__version__
    assert set(metadata.get_all("Provides-Extra", ())) == {
        "redis",
        "cli",
        "dashboard",
        "prometheus",
        "opentelemetry",
        "testing",
        "all",
        "dev",
    }
    pythons = {
        text.rpartition(" ")[2]
        for text in metadata.get_all("Classifier", ())
        if text.startswith("Programming Language :: Python :: 3.")
    }
    assert pythons == {"3.10", "3.11", "3.12", "3.13"}
