"""One connection to a Redis: made, spoken over, diagnosed."""
