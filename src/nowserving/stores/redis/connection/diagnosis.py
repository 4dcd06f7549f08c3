"""What an error of connecting means: will it pass, is anybody there, how to say it.

Law: nothing is said that could hold a secret. What servers and libraries say may quote what they
were sent, and so may whatever they raised it from. So of an error only what is known is told, in
our own words: its kind or code, the address, the user. None of those errors is chained.
"""

from __future__ import annotations

import asyncio
import errno
import re
import socket
import ssl
from typing import TYPE_CHECKING

import hiredis

from nowserving.stores.redis.connection.credentials import CredentialsUnavailable, Login

if TYPE_CHECKING:
    from collections.abc import Iterable

    from nowserving.stores._remote.call import Call


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


NO_TLS = "it does not speak TLS at this port: leave use_ssl out (redis:// instead of rediss://)"
ONLY_TLS = "it speaks TLS at this port: set use_ssl (rediss:// instead of redis://)"
NOT_REDIS = "what listens there does not speak Redis's protocol: is it the right port?"
PROTECTED = (
    "it is in protected mode, which takes no connection from another host (DENIED): "
    "give it a password, or a `bind` address"
)

_UNKNOWN = "it answers with an error of no known kind"
_SHORTEST_SECRET = 8
_NOBODY = Login()

_ABSENT = {errno.ECONNREFUSED, errno.ENOENT}
_NOT_THIS_WAY = {errno.EADDRNOTAVAIL, errno.ENETUNREACH, errno.EAFNOSUPPORT}
_NOT_TLS = {"WRONG_VERSION_NUMBER", "UNKNOWN_PROTOCOL", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG"}
_PASSING = {"BUSY", "CLUSTERDOWN", "MASTERDOWN", "MISCONF", "READONLY", "TRYAGAIN"}
_NEEDLESS_PASSWORD = (
    "AUTH <password> called without any",
    "Client sent AUTH, but no password",
)
_ABOUT_PASSWORDS = (*_NEEDLESS_PASSWORD, "invalid password")


def diagnose(error: BaseException, login: Login = _NOBODY) -> Unreachable:
    """Say why an attempt to connect failed.

    Args:
        error: Whatever a server, asyncio or a credential provider raised.
        login: How the connection was to introduce itself.
    """
    if isinstance(error, Unreachable):
        return error
    if isinstance(error, CredentialsUnavailable):
        return Unreachable(str(error), hopeless=not error.passing)
    if isinstance(error, hiredis.ReplyError):
        return _refused(str(error), login)
    if isinstance(error, hiredis.ProtocolError):
        return Unreachable(NOT_REDIS, hopeless=True, unexplained=True)
    return _broken(error) or Unreachable(f"{_kind(error)} while connecting", hopeless=True)


def _refused(text: str, login: Login) -> Unreachable:
    """Say what a server has against the login."""
    code, _, words = text.partition(" ")
    if code in {"NOAUTH", "WRONGPASS"} or (code == "ERR" and words.startswith(_ABOUT_PASSWORDS)):
        return Unreachable(_authentication(code, words, login), hopeless=True)
    if code == "NOPERM":
        told = f"{login.user} may not do what a connection begins with (NOPERM): see docs/redis.md"
        return Unreachable(told, hopeless=True)
    if code == "DENIED":
        return Unreachable(PROTECTED, hopeless=True)
    if code == "LOADING":
        return Unreachable("it is loading its data (LOADING)")
    if code in _PASSING:
        return Unreachable(f"it answers {code}")
    return _error(words, login) if code == "ERR" else Unreachable(_UNKNOWN)


def _authentication(code: str, words: str, login: Login) -> str:
    if code == "NOAUTH":
        return "it asks for authentication (NOAUTH): set password, and username for an ACL user"
    if words.startswith(_NEEDLESS_PASSWORD):
        return "it has no password for the default user: leave password out"
    return f"it refuses {login.user} with this password (WRONGPASS): check username and password"


def _error(words: str, login: Login) -> Unreachable:
    """Recognise an error without a code of its own."""
    if words.startswith("max number of clients"):
        return Unreachable("max number of clients reached there")
    hopeless = {
        "DB index is out of range": f"it has no database {login.db} (DB index is out of range): "
        "choose a smaller db, or have more `databases` configured",
        "invalid DB index": f"db={login.db} is no database (invalid DB index)",
        "SELECT is not allowed in cluster mode": f"it is a node of a cluster, which has no "
        f"database {login.db}: set deployment_mode: cluster (redis+cluster://)",
        "unknown command": f"it does not know {_command(words)}: is it the right port?",
    }
    for begin, told in hopeless.items():
        if words.startswith(begin):
            return Unreachable(told, hopeless=True)
    return Unreachable(_UNKNOWN)


def _command(text: str) -> str:
    named = re.match(r"unknown command ['`](AUTH|CLUSTER|PING|SELECT|SENTINEL)\b", text)
    return named.group(1) if named else "a command that every Redis knows"


def _broken(error: BaseException) -> Unreachable | None:
    """Say how a connection failed below Redis."""
    if isinstance(error, ssl.SSLError):
        return _tls(error)
    if isinstance(error, socket.gaierror):
        return Unreachable(f"its host is not known ({error.strerror})", absent=True)
    if isinstance(error, asyncio.TimeoutError):
        return Unreachable("no answer in time")
    if isinstance(error, OSError):
        absent = _is_absent(error)
        return Unreachable(_strerror(error), absent=absent, unexplained=not absent)
    return None


def _tls(error: ssl.SSLError) -> Unreachable:
    if isinstance(error, (ssl.SSLEOFError, ssl.SSLZeroReturnError)):
        return Unreachable("connection closed in the TLS handshake")  # it may be about to restart
    if isinstance(error, ssl.SSLCertVerificationError):
        said = error.verify_message
        setting = "ssl_check_hostname" if "mismatch" in said else "ssl_ca_certs"
        return Unreachable(f"its certificate is not trusted ({said}): see {setting}", hopeless=True)
    reason = error.reason or "for no known reason"
    if reason in _NOT_TLS:
        return Unreachable(NO_TLS, hopeless=True)
    remedy = ": set ssl_certfile and ssl_keyfile" if "CERTIFICATE_REQUIRED" in reason else ""
    return Unreachable(f"TLS failed ({reason}){remedy}", hopeless=True)


def _is_absent(error: OSError) -> bool:
    # Of a host with several addresses, asyncio tells all their errors in one without a number.
    numbers = [error.errno] if error.errno else re.findall(r"\[Errno (\d+)", str(error))
    codes = {int(number) for number in numbers}
    return bool(codes & _ABSENT) and codes <= _ABSENT | _NOT_THIS_WAY


def _strerror(error: OSError) -> str:
    if error.errno:
        name = f" {error.filename!r}" if error.filename else ""
        return f"{error.strerror}{name} ({errno.errorcode.get(error.errno, error.errno)})"
    # asyncio raises ConnectionResetError without a word.
    return str(error) or f"connection lost ({_kind(error)})"


def _kind(error: BaseException) -> str:
    return type(error).__name__


# What becomes of a connection that stands


def told(error: BaseException) -> str:
    """Return an error of ours, or of a connection, as a sentence."""
    if isinstance(error, (Unreachable, hiredis.ReplyError)):
        return str(error)
    if isinstance(error, hiredis.ProtocolError):
        return "what it sent is not Redis's protocol"
    if isinstance(error, OSError) and error.errno:
        return _strerror(error)
    return str(error) or _kind(error)


def reply_error(text: str, calls: Iterable[Call] = ()) -> hiredis.ReplyError:
    """Return what a server answered as an error; see :func:`unquoted`."""
    return hiredis.ReplyError(unquoted(text, calls))


def unquoted(text: str, calls: Iterable[Call]) -> str:
    """Return what a server answered to calls, without their arguments.

    A ticket's secret may be one of them. Redis itself quotes them only behind a certain phrase;
    whoever does it elsewhere is not repeated at all.
    """
    text = text.partition(", with args beginning with")[0]
    arguments = (word for call in calls for word in call.args if isinstance(word, str))
    if any(len(word) >= _SHORTEST_SECRET and word in text for word in arguments):
        code = re.match("[A-Z]+(?= )", text)
        return f"{code.group() if code else 'an error'}, with words of the command in it"
    return text
