"""Why there is no connection, in words that may be shown to anybody."""

from __future__ import annotations


class Unreachable(Exception):  # noqa: N818 - the project's vocabulary
    """Why there is no connection, in words that hold no secret.

    Attributes:
        hopeless: Whether another attempt would end just so.
        absent: Whether nobody listens at the address, as against not answering in time.
        unexplained: Whether it hung up, or answered nonsense, without a reason.
    """

    def __init__(
        self,
        words: str,
        *,
        hopeless: bool = False,
        absent: bool = False,
        unexplained: bool = False,
    ) -> None:
        super().__init__(words)
        self.hopeless = hopeless
        self.absent = absent
        self.unexplained = unexplained

    def of(self, where: str) -> Unreachable:
        """Return the same, said of an address that would not be named otherwise."""
        words, hopeless = f"{where}: {self}", self.hopeless
        return Unreachable(words, hopeless=hopeless, absent=self.absent)
