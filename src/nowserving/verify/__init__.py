"""The main job: replay a message log on several workers and check what the locks promised.

A *trace* of messages becomes a *plan* (who gets which message when, and how long it works), a
*replay* lets real processes carry it out over one store, and a *check* of what they recorded says
whether two turns of a conversation ever overlapped, were served out of order, or got lost.

======================  ==========================================================================
:mod:`~.trace`          messages from a CSV file
:mod:`~.traffic`        messages made up: skewed, bursty, with awkward conversation ids
:mod:`~.plan`           pure: due times, hold times, workers
:mod:`~.worker`         one worker process; :mod:`~.crew` starts and hears it
:mod:`~.replay`         all of them together, from a common instant
:mod:`~.turns`          what a worker records of a message
:mod:`~.check`          pure: overlaps, out of order, lost
:mod:`~.figures`        pure: longest line, hand-off, wait, throughput
:mod:`~.result`         findings and figures of a run, as the command prints them
:mod:`~.report`         the same as a page with a timeline
======================  ==========================================================================

Nothing here needs more than the standard library and nowserving itself; the command around it
(:mod:`nowserving.cli.verify`) needs the ``cli`` extra.
"""
