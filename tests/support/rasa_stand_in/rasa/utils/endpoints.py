"""Rasa's endpoint configuration."""

from __future__ import annotations

from typing import Any


class EndpointConfig:
    """A section of ``endpoints.yml``."""

    def __init__(
        self,
        url: str | None = None,
        type: str | None = None,  # noqa: A002 - Rasa's name
        **kwargs: Any,
    ) -> None:
        self.url = url
        self.type = type
        self.kwargs = kwargs
