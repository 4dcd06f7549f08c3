"""The lock stores, each one in a folder of its own.

A store is made of a queue, which decides the order (``protocol/queue.py`` says what it has to do),
and of a subclass of ``QueueLockStore`` (``queued.py``), which says how the store is made and under
which URL schemes. What stores on a server have in common is in ``_remote``. ``custom.py`` is for
users' own stores that only define the reference's ``get_lock``, ``save_lock`` and ``delete_lock``.
"""
