"""Rasa's errors, as far as lock stores raise them."""


class RasaException(Exception):  # noqa: N818 - Rasa's name
    """Root of Rasa's errors."""


class ConnectionException(RasaException):
    """Something could not be reached."""
