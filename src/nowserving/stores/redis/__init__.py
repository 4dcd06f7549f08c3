"""The Redis store: one hash a conversation, Lua verbs, one inbox an event loop.

Nothing is imported here: ``settings.py`` is needed where redis-py is not installed, too.
"""
