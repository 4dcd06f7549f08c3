"""Names as bytes and back: conversations and messages, for stores that keep bytes.

A name is any ``str`` that is not empty. One with NUL or with half of a surrogate pair in it is a
name like any other, so a store must not keep it as text: most databases refuse such text, or cut
it off. It keeps these bytes.
"""


def encode(name: str) -> bytes:
    """Return a name as bytes; different names have different ones."""
    return name.encode("utf-8", "surrogatepass")


def decode(stored: bytes) -> str:
    """Return the name that :func:`encode` was given.

    Args:
        stored: What it returned.

    Raises:
        UnicodeDecodeError: If these bytes can't come from it.
    """
    return stored.decode("utf-8", "surrogatepass")
