"""``StoreConformance``: every theme, for one store."""

from nowserving.testing.expiry import Expiry
from nowserving.testing.leaving import Leaving
from nowserving.testing.order import LineOrder, Threads
from nowserving.testing.reference import ReferenceApi


class StoreConformance(
    ReferenceApi,
    LineOrder,
    Threads,
    Leaving,
    Expiry,
):
    """What every lock store has to do; subclass it and define ``make_store``."""
