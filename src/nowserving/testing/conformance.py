"""``StoreConformance``: every theme, for one store."""

from nowserving.testing.absorbing import Absorbing
from nowserving.testing.cancellation_sweep import CancellationSweep
from nowserving.testing.closing import Closing
from nowserving.testing.combinations import Combinations
from nowserving.testing.defaults import StoreDefaults
from nowserving.testing.expiry import Expiry
from nowserving.testing.holders import Holders
from nowserving.testing.interrupting import Interrupting
from nowserving.testing.issued import Issued
from nowserving.testing.keeping import KeptPlaces, TicketsGivenBack
from nowserving.testing.latest import Latest
from nowserving.testing.leaving import Leaving
from nowserving.testing.losing import Losing
from nowserving.testing.messages import Messages
from nowserving.testing.names import Names, WrongArguments
from nowserving.testing.nesting import Reentrancy, Serialized
from nowserving.testing.observing import Observing
from nowserving.testing.operating import Operating
from nowserving.testing.order import LineOrder, Threads
from nowserving.testing.outside import FromOutside
from nowserving.testing.reasons import Reasons
from nowserving.testing.reference import ReferenceApi
from nowserving.testing.rejecting import Rejecting
from nowserving.testing.renewal import Renewal
from nowserving.testing.settling import Settling
from nowserving.testing.surveying import Surveying
from nowserving.testing.turns import Fencing, Predecessor
from nowserving.testing.waiting import WaitLimits


class StoreConformance(
    ReferenceApi,
    LineOrder,
    Threads,
    Leaving,
    Expiry,
    CancellationSweep,
    Renewal,
    Losing,
    Reasons,
    WaitLimits,
    Rejecting,
    Latest,
    Interrupting,
    Settling,
    FromOutside,
    Messages,
    Operating,
    Surveying,
    Observing,
    Holders,
    Absorbing,
    Combinations,
    Issued,
    KeptPlaces,
    TicketsGivenBack,
    Fencing,
    Predecessor,
    Reentrancy,
    Serialized,
    Closing,
    StoreDefaults,
    Names,
    WrongArguments,
):
    """What every lock store has to do; subclass it and define ``make_store``."""
