"""An outage is told in order, whatever threads see its beginning and its end at once."""

from __future__ import annotations

import logging

from nowserving.protocol.outages import Outages
from nowserving.stores._remote.outage import Outage

_LOGGER = "nowserving.tests.outage"


class Answered(logging.Handler):
    """Has the server answer another thread while this one tells that it does not serve."""

    def __init__(self, outage: Outage) -> None:
        super().__init__()
        self._outage = outage

    def emit(self, _: logging.LogRecord) -> None:
        if self._outage.since is not None:
            self._outage.end()


def test_an_answer_in_the_middle_of_its_beginning_does_not_end_it_before() -> None:
    outages, told = Outages(), []
    outages.listener = lambda _where, _why, lasted: told.append(lasted)
    outage = Outage("Redis", "there", outages, _LOGGER)
    handler = Answered(outage)
    logging.getLogger(_LOGGER).addHandler(handler)
    try:
        outage.begin("it is gone")
        assert told == [None]
        assert outages.now == {"there": "it is gone"}
        outage.end()  # the next answer
    finally:
        logging.getLogger(_LOGGER).removeHandler(handler)
    assert [lasted is None for lasted in told] == [True, False]
    assert not outages.now


def test_a_child_that_is_forked_in_the_middle_of_its_beginning_tells_its_own() -> None:
    outages, told = Outages(), []
    outages.listener = lambda _where, _why, lasted: told.append(lasted)
    outage = Outage("Redis", "there", outages, _LOGGER)
    outage._calm.pop()  # as far as the parent's thread had come
    outage.forked()
    outage.begin("it is gone")
    outage.forked()
    outage.begin("it is still gone")
    assert told == [None]
