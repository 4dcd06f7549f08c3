"""What is measured: one theme a file."""
