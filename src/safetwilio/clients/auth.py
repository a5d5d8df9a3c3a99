"""How a credential gets into a request: at the last moment, and only to Twilio."""

from __future__ import annotations

from typing import TYPE_CHECKING

from requests.auth import AuthBase

from safetwilio.credentials import Hidden
from safetwilio.policy import require_destination, require_one_world

if TYPE_CHECKING:
    from collections.abc import Callable

    from requests import PreparedRequest

    from safetwilio.credentials import ApiKey, AuthToken
    from safetwilio.policy import BrokenGlass


_PAIR = 2


class NoAuth(AuthBase):
    """Adds nothing; where ``auth`` is ``None``, ``requests`` would add ``~/.netrc``."""

    __slots__ = ()

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        """Return *request* as it is."""
        return request


class LastMomentAuth(AuthBase):
    """Adds the ``Authorization`` header to a prepared request whose URL may receive it.

    Works wherever ``requests`` takes ``auth=``; being no tuple it is also immune to ``~/.netrc``.
    *credential* is asked for at every request, so a replaced key is used from the next one on.
    """

    __slots__ = ("_credential", "_emulator", "_glass")

    def __init__(
        self,
        credential: Callable[[], ApiKey | AuthToken],
        *,
        emulator: str | None,
        glass: BrokenGlass | None = None,
    ) -> None:
        """Use what *credential* returns, while *glass* is open; with *emulator* only there."""
        self._credential = credential
        self._emulator = emulator
        self._glass = glass

    def credential(self) -> ApiKey | AuthToken:
        """Return what it would attach now."""
        return self._credential()

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        """Attach the header, or raise :class:`RefusedBeforeSending` (ST801, ST805)."""
        if self._glass is not None:
            self._glass.require_open()
        require_destination(request.url, self._emulator)
        credential = self._credential()
        require_one_world((credential.username, credential.account_sid), self._emulator)
        request.headers["Authorization"] = credential.authorization()
        return request

    def __eq__(self, other: object) -> bool:
        """Return whether *other* is this, or the ``(user, secret)`` pair it stands for."""
        if isinstance(other, tuple) and len(other) == _PAIR:
            current = self._credential()
            return bool(other[0] == current.username and Hidden(current.reveal) == other[1])
        return self is other

    __hash__ = object.__hash__

    def __repr__(self) -> str:
        """Return the credential's own masked form."""
        return f"<LastMomentAuth {self._credential()!r}>"


class HeaderAuth(AuthBase):
    """Adds a ready header value (an OAuth bearer) that *reveal* returns, with the same guard.

    Handing it over as ``auth=`` keeps ``requests`` from replacing it by ``~/.netrc``.
    """

    __slots__ = ("_emulator", "_reveal")

    def __init__(self, reveal: Callable[[], str], *, emulator: str | None) -> None:
        """Use the header value of *reveal*; with *emulator* (a base URL) only there."""
        self._reveal = reveal
        self._emulator = emulator

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        """Attach the header, or raise :class:`RefusedBeforeSending` (ST801)."""
        require_destination(request.url, self._emulator)
        request.headers["Authorization"] = self._reveal()
        return request
