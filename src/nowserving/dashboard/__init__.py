"""A page that shows a store's lines live: ``nowserving dashboard``, or part of an app of yours.

``create_app`` makes an ASGI app that can be mounted (``pip install 'nowserving[dashboard]'``)::

    app.mount("/locks", nowserving.dashboard.create_app(store, allowed_hosts=["bot.example"]))

Whoever reaches it sees the conversations' ids: let your own login stand before it, or give it a
token (docs/dashboard.md).
"""

try:
    import starlette  # noqa: F401 - only whether it is there
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        "nowserving.dashboard needs starlette: pip install 'nowserving[dashboard]'", name=error.name
    ) from error

from nowserving.dashboard.app import create_app

__all__ = ["create_app"]
