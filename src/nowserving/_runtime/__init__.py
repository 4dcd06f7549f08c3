"""What a store runs on in one process: event loops, threads, and their end."""
