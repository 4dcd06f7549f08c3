"""The lock stores: what each one is configured with, and the queue it makes."""
