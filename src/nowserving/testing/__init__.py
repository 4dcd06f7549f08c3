"""The conformance suite: what every lock store has to do, as tests that a store's author runs.

Ten lines test a new store (``pip install 'nowserving[testing]'``; no plugin is needed)::

    from nowserving.testing import StoreConformance

    from my_package import MyLockStore


    class TestMyLockStore(StoreConformance):
        def make_store(self, **defaults):
            return MyLockStore("localhost", **defaults)

Every call of ``make_store`` makes a new store object over the same storage. What a store cannot do
it declares (``TicketQueue.guarantees``); the suite then checks that it refuses clearly what it
cannot do. It never skips a test. Lifetimes are as short as 0.1 s: a store that may need longer for
an answer sets ``tempo``, which multiplies every duration::

    class TestMyLockStore(StoreConformance):
        tempo = 3.0
"""

import pkgutil

try:
    import pytest
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        "nowserving.testing needs pytest: pip install 'nowserving[testing]'", name=error.name
    ) from error

# Before they are imported: pytest rewrites their asserts, so that a failing one shows its values.
pytest.register_assert_rewrite(*(f"{__name__}.{it.name}" for it in pkgutil.iter_modules(__path__)))

from nowserving.testing.conformance import StoreConformance  # noqa: E402
from nowserving.testing.harness import StoreHarness  # noqa: E402

__all__ = ["StoreConformance", "StoreHarness"]
