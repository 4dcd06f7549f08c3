"""How fast is it, and against whom: ``python -m benchmarks``.

Every number comes from one run on one machine against one Redis that the run starts itself, and
whoever is compared takes turns with whoever it is compared to, so that noise hits both.

``peers`` are other locks (and ours), ``floors`` what no lock can be faster than, ``figures`` what
is measured of them. ``runner`` measures, ``report``, ``plots`` and ``goals`` tell.
"""
