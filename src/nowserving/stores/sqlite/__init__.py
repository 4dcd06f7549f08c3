"""The SQLite store: lines in a file, one thread a process, datagrams for wake-ups."""
