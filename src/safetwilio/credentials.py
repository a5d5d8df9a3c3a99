"""The values that flow down the street: an API key, and (under break-glass) the Auth Token.

A secret inside is reachable only by calling for it. It is in no attribute, ``repr``, ``vars`` or
pickle, so a frame that holds one of these values shows nothing.
"""

from __future__ import annotations

import base64
import hmac
from typing import TYPE_CHECKING, Any, Literal, NoReturn

from safetwilio.errors import RefusedBeforeSending
from safetwilio.redaction.fingerprints import fingerprint, has_fingerprint
from safetwilio.redaction.registry import SHORT

if TYPE_CHECKING:
    from collections.abc import Callable

HIDDEN = "[TWILIO:hidden]"
KeyType = Literal["standard", "restricted", "main"]


def refuse_pickle(what: str) -> NoReturn:
    """Raise :class:`RefusedBeforeSending` (ST803): *what* would carry a secret out of here."""
    raise RefusedBeforeSending(
        f"{what} is not pickled or sent to another process: it would carry the secret along. "
        "Let the other process load its own: from safetwilio import client",
        code="ST803",
    )


class _Credential:
    """A user name and a secret, as HTTP Basic wants them."""

    __slots__ = ("_reveal", "source", "username", "version")

    def __init__(self, username: str, secret: str, source: str, version: str | None) -> None:
        self.username = username
        self.source = source
        self.version = version
        self._reveal = _sealed(secret)

    def reveal(self) -> str:
        """Return the secret itself; never keep it in a variable longer than a call needs."""
        return self._reveal()

    def authorization(self) -> str:
        """Return the value of the ``Authorization`` header."""
        pair = f"{self.username}:{self._reveal()}".encode()
        return "Basic " + base64.b64encode(pair).decode("ascii")

    @property
    def origin(self) -> str:
        """Where this was loaded from, in words: the reference and, if known, its version."""
        return f"{self.source}, version {self.version}" if self.version else self.source

    def is_same_as(self, other: _Credential) -> bool:
        """Return whether *other* is the same user with the same secret, of whatever version."""
        same = hmac.compare_digest(self.reveal().encode(), other.reveal().encode())
        return same and self.username == other.username

    def __copy__(self) -> _Credential:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> _Credential:
        return self

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        refuse_pickle(type(self).__name__)


class ApiKey(_Credential):
    """An API key with the account it acts on, read whole from one version of one document.

    *account_sid* starts with ``AC``, *sid* with ``SK``; *source* is the backend's reference and
    *version* the document's version there, if it has one; *key_type* is known only where the
    document or a verification said it.
    """

    __slots__ = ("account_sid", "key_type")

    def __init__(  # noqa: PLR0913 - a record has these parts
        self,
        account_sid: str,
        sid: str,
        secret: str,
        *,
        source: str,
        version: str | None = None,
        key_type: KeyType | None = None,
    ) -> None:
        """Hold the key *sid* of *account_sid* with its *secret*."""
        super().__init__(sid, secret, source, version)
        self.account_sid = account_sid
        self.key_type = key_type

    @property
    def sid(self) -> str:
        """The key's SID."""
        return self.username

    def __repr__(self) -> str:
        """Return the fingerprints only."""
        return f"<ApiKey {mask('key', self.sid)} of {mask('account', self.account_sid)}>"


class AuthToken(_Credential):
    """A user name with the master Auth Token (or any other Basic pair), under break-glass only."""

    __slots__ = ()

    def __init__(self, username: str, token: str) -> None:
        """Hold *token* for *username*, usually the account SID."""
        super().__init__(username, token, "an argument", None)

    @property
    def account_sid(self) -> str:
        """The user name, which is the account's SID."""
        return self.username

    def __repr__(self) -> str:
        """Return the kind only."""
        return "<AuthToken>"


class Hidden:
    """Stands in an attribute where Twilio's client has the secret: equal to it, never showing it.

    ``client.password == secret`` answers as ever, in constant time; everything else shows a mask.
    """

    __slots__ = ("_reveal",)
    # A hash of the secret would be a way to it.
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, reveal: Callable[[], str]) -> None:
        """Compare with what *reveal* returns at that moment."""
        self._reveal = reveal

    def __eq__(self, other: object) -> bool:
        """Return whether *other* is the secret."""
        if isinstance(other, Hidden):
            other = other._reveal()
        return isinstance(other, str) and hmac.compare_digest(
            self._reveal().encode("utf-8", "surrogatepass"),
            other.encode("utf-8", "surrogatepass"),
        )

    def __repr__(self) -> str:
        """Return the mask."""
        return HIDDEN

    def __deepcopy__(self, memo: dict[int, Any]) -> Hidden:
        return self

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        refuse_pickle("A secret")


def mask(kind: str, sid: str) -> str:
    """Return the mask of *sid* as redaction writes it, so that messages and logs agree."""
    return f"[TWILIO:{kind}:{fingerprint(sid) if has_fingerprint(sid) else SHORT}]"


def _sealed(secret: str) -> Callable[[], str]:
    def reveal() -> str:
        return secret

    return reveal
