"""What a store's history says: why somebody waited, and what other options would have changed.

===================================  =============
Where is it told ...                 file
===================================  =============
what became of each turn             ``turns.py``
why somebody waited                  ``explain.py``
what would have happened             ``whatif.py``, over lines in virtual time (``replay.py``)
===================================  =============
"""
