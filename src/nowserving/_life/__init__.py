"""The life of a ticket in this process, as tables: no I/O, no clock, no event loop, no thread.

Four small machines stand side by side, since none of them follows from another:

* :mod:`stay <nowserving._life.stay>`: where the ticket is, from its take to its leave;
* :mod:`lease <nowserving._life.lease>`: until when it may be relied on;
* :mod:`body <nowserving._life.body>`: whether the work under it may still be cancelled;
* :mod:`poll <nowserving._life.poll>`: whether a question about it is under way, and when the next
  one is due.

:mod:`life <nowserving._life.life>` puts them together: each event that can befall a ticket is a
method that moves them and returns effects as values. Whoever calls it carries the effects out
(``_runtime/ticket.py``). :mod:`rules <nowserving._life.rules>` says what a waiter does next.

An event that has no entry in its state's row changes nothing. So whoever comes second (a ticket
that is left twice, lost twice, collected after it was left) finds that there is nothing to do.
"""
