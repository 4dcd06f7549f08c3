"""``StoreConformance``: every theme, for one store."""

from nowserving.testing.expiry import Expiry
from nowserving.testing.leaving import Leaving
from nowserving.testing.order import LineOrder, Threads
from nowserving.testing.policies import Interrupting, Latest, Rejecting
from nowserving.testing.reference import ReferenceApi
from nowserving.testing.renewal import Losing, Renewal, WaitLimits


class StoreConformance(
    ReferenceApi,
    LineOrder,
    Threads,
    Leaving,
    Expiry,
    Renewal,
    Losing,
    WaitLimits,
    Rejecting,
    Latest,
    Interrupting,
):
    """What every lock store has to do; subclass it and define ``make_store``."""
