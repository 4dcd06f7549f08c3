"""``StoreConformance``: every theme, for one store."""

from nowserving.testing.cancellation import Cancellation
from nowserving.testing.closing import Closing
from nowserving.testing.expiry import Expiry
from nowserving.testing.issued import Issued
from nowserving.testing.leaving import Leaving
from nowserving.testing.messages import Messages
from nowserving.testing.names import Names, WrongArguments
from nowserving.testing.nesting import Reentrancy, Serialized
from nowserving.testing.order import LineOrder, Threads
from nowserving.testing.policies import Interrupting, Latest, Rejecting
from nowserving.testing.reference import ReferenceApi
from nowserving.testing.renewal import Losing, Renewal, WaitLimits
from nowserving.testing.turns import Fencing, Predecessor


class StoreConformance(
    ReferenceApi,
    LineOrder,
    Threads,
    Leaving,
    Expiry,
    Cancellation,
    Renewal,
    Losing,
    WaitLimits,
    Rejecting,
    Latest,
    Interrupting,
    Messages,
    Issued,
    Fencing,
    Predecessor,
    Reentrancy,
    Serialized,
    Closing,
    Names,
    WrongArguments,
):
    """What every lock store has to do; subclass it and define ``make_store``."""
