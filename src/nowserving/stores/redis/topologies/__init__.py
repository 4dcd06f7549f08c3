"""The shapes in which Redis is run: one server, sentinels, a cluster."""
