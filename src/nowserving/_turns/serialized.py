"""The decorator behind ``store.serialized``: a handler's calls for one conversation, in order."""

from __future__ import annotations

import functools
import inspect
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    from nowserving._turns.turn import Turn

_F = TypeVar("_F", bound="Callable[..., Any]")


def serialize(turn_of: Callable[[str], Turn], key: str | Callable[..., str]) -> Callable[[_F], _F]:
    """Return a decorator that runs each call of a handler in a turn of its conversation.

    Args:
        turn_of: Makes the turn of a conversation.
        key: The parameter that holds the conversation's id, or a function of the arguments.
    """

    def decorate(handler: _F) -> _F:
        _refuse_generator(handler)
        conversation_of = key if callable(key) else _parameter(handler, key)

        @functools.wraps(handler)
        async def handle_async(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - the handler's
            async with turn_of(conversation_of(*args, **kwargs)):
                return await handler(*args, **kwargs)

        @functools.wraps(handler)
        def handle(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - the handler's
            with turn_of(conversation_of(*args, **kwargs)):
                return handler(*args, **kwargs)

        chosen: Any = handle_async if inspect.iscoroutinefunction(handler) else handle
        return chosen  # type: ignore[no-any-return]  # it has the handler's signature

    return decorate


def _refuse_generator(handler: Callable[..., Any]) -> None:
    # Calling one runs nothing of its body: the turn would be over before the body begins.
    asynchronous = inspect.isasyncgenfunction(handler)
    if asynchronous or inspect.isgeneratorfunction(handler):
        name = getattr(handler, "__qualname__", repr(handler))
        begin = "async " if asynchronous else ""
        raise TypeError(
            f"{name}() is a generator function: its body runs after the call, and so after the "
            f"turn. Hold the lock around the loop that uses it (`{begin}with store.lock(...):` "
            f"around `{begin}for`). Where a framework iterates, as for a streaming response, hold "
            "it in a task of its own that feeds the generator (docs/fastapi.md). Not inside the "
            "generator: one that is left unfinished would keep the lock until it is collected"
        )


def _parameter(handler: Callable[..., Any], name: str) -> Callable[..., Any]:
    signature = inspect.signature(handler)
    if name not in signature.parameters:
        known = ", ".join(signature.parameters) or "none"
        raise TypeError(
            f"{handler.__qualname__}() has no parameter {name!r} to serialize by; it has: {known}"
        )

    def find(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - checked by lock()
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        return bound.arguments[name]

    return find
