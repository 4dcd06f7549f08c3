"""One file or folder a store: the lines themselves."""
