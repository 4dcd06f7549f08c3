"""Prometheus itself, from the system's packages."""

from __future__ import annotations

import shutil

from prometheus_client.parser import text_string_to_metric_families

PROMTOOL = shutil.which("promtool") or "promtool (of the package prometheus) is not installed"
"""The command that checks what Prometheus is given."""


def value(text: str, name: str, **labels: str) -> float | None:
    """Return a sample of what was scraped, None if it is not there.

    Args:
        text: What was scraped.
        name: The sample's name, without ``nowserving_``.
        **labels: All its labels.
    """
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name == f"nowserving_{name}" and sample.labels == labels:
                return sample.value
    return None
