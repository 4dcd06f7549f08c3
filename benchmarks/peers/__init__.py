"""The locks that are compared: ours and the others, each in a small file of its own.

Each file has ``opened(address)``: an asynchronous context manager that gives a driver. A file
whose package is not installed can't be imported; that is said in the table instead of a number.
"""
