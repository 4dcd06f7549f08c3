"""What a line decides, apart from where it is kept.

Each verb's decision stands here once, for every store that can run Python: pure functions over the
few fields and tickets that a verb reads and writes (``storage.py``). They have no clock (``now`` is
given), do no I/O, take no lock and wait for nothing; the store makes a verb atomic around them. The
Lua verbs of Redis decide the same; ``tests/process/test_decisions.py`` holds them against these.

==============================================  =================
Where is it decided ...                         file
==============================================  =================
who is refused, who has to make room            ``admission.py``
who is served next, and with which token        ``promotion.py``, ``tokens.py``
when a burst of messages is over                ``settling.py``
which messages a turn answers for               ``answers.py``
what a ticket issued earlier is good for        ``redemption.py``
what becomes of those whom a holder absorbs     ``absorption.py``
what is noted of a ticket that goes, and who    ``departure.py``
is told; how long a record is kept
how tickets are given back and taken out        ``removal.py``
what a ticket's owner is told, and why it is    ``status.py``
gone
which messages are known                        ``messages.py``
what becomes of a take that comes late, or      ``attempts.py``
twice
how a line is pictured, and a picture merged    ``pictures.py``
what is seen of it from afar                    ``tally.py``
==============================================  =================
"""

from nowserving.stores._lines.absorption import absorb
from nowserving.stores._lines.admission import take
from nowserving.stores._lines.answers import superseded_by
from nowserving.stores._lines.attempts import (
    attempt_leave,
    attempt_park,
    attempt_redeem,
    attempt_take,
)
from nowserving.stores._lines.pictures import holder, picture, save
from nowserving.stores._lines.promotion import promote
from nowserving.stores._lines.redemption import park, redeem
from nowserving.stores._lines.removal import delete, finish, leave, release
from nowserving.stores._lines.renewal import poll, renew
from nowserving.stores._lines.status import SUPERSEDED, removed
from nowserving.stores._lines.storage import (
    Absorbing,
    AttemptStorage,
    LineStorage,
    Ticket,
    Tombstone,
)
from nowserving.stores._lines.tally import sight
from nowserving.stores._lines.tokens import Tokens

__all__ = [
    "SUPERSEDED",
    "Absorbing",
    "AttemptStorage",
    "LineStorage",
    "Ticket",
    "Tokens",
    "Tombstone",
    "absorb",
    "attempt_leave",
    "attempt_park",
    "attempt_redeem",
    "attempt_take",
    "delete",
    "finish",
    "holder",
    "leave",
    "park",
    "picture",
    "poll",
    "promote",
    "redeem",
    "release",
    "removed",
    "renew",
    "save",
    "sight",
    "superseded_by",
    "take",
]
