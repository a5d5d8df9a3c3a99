"""Twilio's access tokens: what a browser or a phone may hold, signed with the key.

Twilio calls them tokens; here they are JWTs, because a token is the master Auth Token. The key
signs on the server and stays there; the JWT says who holds it, for what, and until when.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NoReturn

from twilio.jwt.access_token import AccessToken, AccessTokenGrant

from safetwilio._boot import get_account, get_key_type
from safetwilio.credentials import Hidden, mask, refuse_pickle
from safetwilio.errors import RefusedBeforeSending

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from safetwilio.credentials import ApiKey

HOUR = 3600
SECOND = timedelta(seconds=1)
LONGEST = timedelta(hours=24)


class AccessJwt(Hidden):
    """A signed access token of Twilio's; only :meth:`jwt` shows it.

    ``str``, ``repr`` and every log show its mask. It is equal to the same JWT in constant time, may
    be copied, and is neither pickled (ST803) nor turned into JSON. *identity* is whom it stands
    for, *grants* are the names of its grants as Twilio writes them (``voice``, ``data_sync``), and
    *expires_at* is in UTC.
    """

    __slots__ = ("expires_at", "grants", "identity")

    identity: str
    grants: tuple[str, ...]
    expires_at: datetime

    def __init__(
        self, reveal: Callable[[], str], identity: str, grants: Iterable[str], expires_at: datetime
    ) -> None:
        """Hold the JWT that *reveal* returns; :func:`access_token` makes these."""
        values = {
            "_reveal": reveal,
            "identity": identity,
            "grants": tuple(grants),
            "expires_at": expires_at,
        }
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def jwt(self) -> str:
        """Return the JWT itself, for the one it is made for: ``{"token": access.jwt()}``."""
        return self._reveal()

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"an AccessJwt is not changed: {name}")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"an AccessJwt is not changed: {name}")

    def __str__(self) -> str:
        """Return the mask, as logs show it."""
        return mask("jwt", self._reveal())

    def __repr__(self) -> str:
        """Return the mask, the grants and the end."""
        end = f"{self.expires_at:%Y-%m-%d %H:%M:%S} UTC"
        return f"<AccessJwt {self} for {', '.join(self.grants)} until {end}>"

    def __copy__(self) -> AccessJwt:
        return self

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        refuse_pickle("An access token")


def access_token(
    identity: str,
    grants: AccessTokenGrant | Sequence[AccessTokenGrant],
    ttl: int | timedelta = HOUR,
    *,
    account: str | None = None,
) -> AccessJwt:
    """Return a JWT with which *identity* may use *grants* for *ttl*, signed with *account*'s key.

    *grants* are objects of ``twilio.jwt.access_token.grants``, one or several of different kinds.
    *ttl* is a ``timedelta`` or whole seconds: an hour unless said, 24 hours at most. *account* is
    the name of an account, or ``None`` for the default one; its region is in the JWT if it has one.
    Nothing is sent to Twilio.

    Raises :class:`safetwilio.errors.RefusedBeforeSending` for a key that is known to be Restricted
    (ST806: Twilio accepts no JWT of such a key), another *ttl* (ST807), no *identity* (ST808),
    *grants* that are none (ST809), or when Twilio's library cannot sign (ST810); and what
    :func:`safetwilio.get_client` raises when there is no API key.
    """
    if not isinstance(identity, str) or not identity.strip():
        raise RefusedBeforeSending(
            "An access token needs an identity: the name of the signed-in user it is made for. "
            "Without one nobody is signed in, and nobody should get one.",
            code="ST808",
        )
    lifetime = _checked_lifetime(ttl)
    payloads = _checked_grants(grants)
    key, region = _signer(account)
    if get_key_type(account) == "restricted":
        _refuse_restricted(key)
    expires_at = int(time.time()) + lifetime
    jwt = _sign(key, identity, payloads, expires_at, region)
    if isinstance(jwt, BaseException):
        raise jwt  # outside any except block: no context, and no frame of Twilio's
    return AccessJwt(jwt, identity, payloads, datetime.fromtimestamp(expires_at, UTC))


class _Settled(AccessTokenGrant):
    """A grant that was asked for its payload already, so nobody's code runs near the secret."""

    def __init__(self, key: str, payload: dict[str, Any]) -> None:
        self._key = key
        self._payload = payload

    @property
    def key(self) -> str:
        return self._key

    def to_payload(self) -> dict[str, Any]:
        return self._payload


def _signer(account: str | None) -> tuple[ApiKey, str | None]:
    """Return *account*'s key and region; a frame that fails should not hold the settings."""
    booted = get_account(account)
    return booted.store.meanwhile(), booted.settings.region


def _sign(
    key: ApiKey,
    identity: str,
    payloads: dict[str, dict[str, Any]],
    expires_at: int,
    region: str | None,
) -> Callable[[], str] | BaseException:
    """Return the sealed JWT, or what went wrong without the frames that held the secret."""
    handled = sys.exception()  # by the caller
    try:
        jwt: str = AccessToken(
            key.account_sid,
            key.sid,
            key.reveal(),
            grants=[_Settled(name, payload) for name, payload in payloads.items()],
            identity=identity,
            nbf=None,  # now by our clock may be the future by Twilio's, which then refuses it
            valid_until=expires_at,
            region=region,
        ).to_jwt()
    except Exception as error:  # noqa: BLE001 - whatever it is, its frames hold the secret
        return RefusedBeforeSending(
            f"Twilio's library could not sign the access token ({type(error).__name__}). What it "
            "said is not shown, because the secret was in its hands.",
            code="ST810",
        )
    except BaseException as error:  # noqa: BLE001 - raised again by the caller
        from safetwilio.clients.errors import without_frames

        return without_frames(error, handled)

    def reveal() -> str:
        return jwt

    return reveal


def _checked_lifetime(ttl: int | timedelta) -> int:
    """Return *ttl* in seconds, or raise :class:`RefusedBeforeSending` (ST807)."""
    if isinstance(ttl, int) and not isinstance(ttl, bool):
        whole = ttl
    elif isinstance(ttl, timedelta):
        whole = ttl // SECOND + bool(ttl % SECOND)
    else:
        whole = 0
    if 0 < whole <= LONGEST.total_seconds():
        return whole
    raise RefusedBeforeSending(
        "An access token lives from one second to 24 hours: ttl is a timedelta or a whole number "
        "of seconds from 1 to 86400. Shorter is better; a client asks for a new one before it "
        "expires.",
        code="ST807",
    )


def _checked_grants(grants: object) -> dict[str, dict[str, Any]]:
    """Return the payload of each grant by its name, or raise :class:`RefusedBeforeSending`."""
    payloads: dict[str, dict[str, Any]] = {}
    for grant in _several(grants):
        kind = type(grant).__name__
        if not isinstance(grant, AccessTokenGrant):
            _refuse_grants(f"a {kind} is not one")
        settled = _settled(grant)
        if settled is None:
            _refuse_grants(f"the payload of this {kind} cannot be written as a JSON object")
        if settled.key in payloads or settled.key == "identity":
            _refuse_grants(f"the {kind} would take the place of another one of the same name")
        payloads[settled.key] = settled.to_payload()
    if not payloads:
        _refuse_grants("there is none")
    return payloads


def _several(grants: object) -> tuple[object, ...]:
    if isinstance(grants, AccessTokenGrant) or not isinstance(grants, Iterable):
        return (grants,)
    return tuple(grants)


def _settled(grant: AccessTokenGrant) -> _Settled | None:
    """Return *grant* as plain JSON types, a copy of its own; ``None`` if it is not of those."""
    try:
        key, payload = grant.key, json.loads(json.dumps(grant.to_payload(), allow_nan=False))
    except Exception:  # noqa: BLE001 - Twilio's classes or a user's: it may quote its input
        return None
    return _Settled(key, payload) if isinstance(key, str) and isinstance(payload, dict) else None


def _refuse_grants(why: str) -> NoReturn:
    raise RefusedBeforeSending(
        "An access token needs grants, one or several of different kinds, from "
        f"twilio.jwt.access_token.grants, such as VoiceGrant(...); {why}.",
        code="ST809",
    )


def _refuse_restricted(key: ApiKey) -> NoReturn:
    raise RefusedBeforeSending(
        f"The API key {mask('key', key.sid)} (from {key.origin}) is a Restricted key, and Twilio "
        "accepts no access token signed with one (20160). Give the service that signs access "
        "tokens a Standard key of its own: safetwilio init",
        code="ST806",
    )
