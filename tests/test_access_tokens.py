"""Access tokens: signed with the right key, refused where they would be wrong, never shown."""

from __future__ import annotations

import copy
import io
import json
import logging
import pickle
import sys
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import jwt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from twilio.jwt.access_token import AccessToken, AccessTokenGrant
from twilio.jwt.access_token.grants import ChatGrant, PlaybackGrant, VideoGrant, VoiceGrant

import safetwilio
from clients.leaks import Spotter
from safetwilio import TwilioSettings, access_token, redaction
from safetwilio.errors import ConfigurationError, RefusedBeforeSending, SafeTwilioError, UsageError
from safetwilio.redaction import registry as registry_module
from safetwilio.redaction.engine import redact
from safetwilio.testing import EmulatorServer
from support import Key, Opaque, assert_silent, auth_token, caught, leaks, new_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

    from safetwilio.access_tokens import AccessJwt

ROOM = VideoGrant(room="hall")
MARKETING = "marketing"


@pytest.fixture(autouse=True)
def _no_redaction_after_it() -> Iterator[None]:
    yield
    redaction.uninstall()
    for value in tuple(registry_module.registry._known):
        redaction.retire(value)


@pytest.fixture
def minted(configured: Key) -> AccessJwt:
    assert configured
    return access_token("ada", ROOM)


def claims(minted: AccessJwt, key: Key) -> dict[str, Any]:
    """Return what is in *minted*, if *key* signed it."""
    decoded: dict[str, Any] = jwt.decode(minted.jwt(), key.secret, algorithms=["HS256"])
    return decoded


def configure(key: Key, account: str | None = None, **values: str) -> None:
    """Configure *account* with *key* and with more *values*."""
    made = TwilioSettings(account_sid=key.account, api_key=key.sid, api_secret=key.secret, **values)
    safetwilio.configure(made, account=account)


def refusal(call: Callable[[], object]) -> SafeTwilioError:
    error = caught(call)
    assert isinstance(error, RefusedBeforeSending), error
    return error


def test_every_claim(configured: Key) -> None:
    before = int(time.time())
    minted = access_token(
        "ada", [VoiceGrant(incoming_allow=True), ChatGrant(service_sid="IS1")], ttl=600
    )
    found = claims(minted, configured)

    assert jwt.get_unverified_header(minted.jwt()) == {
        "alg": "HS256",
        "cty": "twilio-fpa;v=1",
        "typ": "JWT",
    }
    assert before + 600 <= found["exp"] <= time.time() + 600
    assert found.pop("exp") == int(minted.expires_at.timestamp())
    assert found.pop("jti").startswith(f"{configured.sid}-")
    assert found == {  # no "nbf": a clock that is ahead would make it a date in the future
        "iss": configured.sid,
        "sub": configured.account,
        "grants": {
            "identity": "ada",
            "voice": {"incoming": {"allow": True}},
            "chat": {"service_sid": "IS1"},
        },
    }
    assert (minted.identity, minted.grants) == ("ada", ("voice", "chat"))
    assert minted.expires_at.tzinfo is UTC


def test_it_is_what_twilios_library_makes(configured: Key, monkeypatch: pytest.MonkeyPatch) -> None:
    """Byte for byte, once the clock stands still."""
    monkeypatch.setattr(time, "time", lambda: 1_800_000_000.5)
    theirs = AccessToken(
        configured.account,
        configured.sid,
        configured.secret,
        grants=[ROOM],
        identity="ada",
        nbf=None,
        ttl=3600,
    )

    minted = access_token("ada", ROOM)
    assert minted == theirs.to_jwt()
    assert minted.expires_at == datetime.fromtimestamp(1_800_003_600, UTC)


@pytest.mark.parametrize(
    "grants", [ROOM, [ROOM], (ROOM,), {ROOM}, iter([ROOM])], ids=lambda g: type(g).__name__
)
def test_one_grant_or_several(configured: Key, grants: Any) -> None:
    found = claims(access_token("ada", grants), configured)

    assert found["grants"] == {"identity": "ada", "video": {"room": "hall"}}


@pytest.mark.parametrize(
    ("ttl", "seconds"),
    [
        (1, 1),
        (86_400, 86_400),
        (timedelta(hours=24), 86_400),
        (timedelta(minutes=15), 900),
        (timedelta(milliseconds=1), 1),
    ],
)
def test_lifetimes_that_are_right(configured: Key, ttl: int | timedelta, seconds: int) -> None:
    before = int(time.time())
    exp = claims(access_token("ada", ROOM, ttl), configured)["exp"]

    assert before + seconds <= exp <= time.time() + seconds


def test_the_region_of_the_key_is_in_the_header() -> None:
    configure(new_key(), region="ie1")

    assert jwt.get_unverified_header(access_token("ada", ROOM).jwt())["twr"] == "ie1"


def test_credentials_of_the_emulator(monkeypatch: pytest.MonkeyPatch) -> None:
    key = new_key(emulated=True)
    monkeypatch.setenv("SAFETWILIO_EMULATOR", "http://127.0.0.1:9")
    for name, value in key.environment().items():
        monkeypatch.setenv(name, value)

    assert claims(access_token("ada", ROOM), key)["sub"] == key.account


@settings(max_examples=50)
@given(
    asked=st.lists(st.sampled_from([None, MARKETING, "Marketing"]), min_size=1, max_size=6),
    identity=st.text(min_size=1).filter(str.strip),
)
def test_never_another_accounts(asked: list[str | None], identity: str) -> None:
    """Account, key and signature are those of the account asked for, in any order."""
    keys = {None: new_key(), MARKETING: new_key()}
    safetwilio.reset()
    for account, key in keys.items():
        configure(key, account)
    for account in asked:
        own = keys.pop(account and account.lower())
        (other,) = keys.values()
        minted = access_token(identity, ROOM, account=account)
        found = claims(minted, own)
        assert (found["sub"], found["iss"]) == (own.account, own.sid)
        assert found["grants"]["identity"] == identity
        assert other.sid not in json.dumps(found)
        with pytest.raises(jwt.InvalidSignatureError):
            claims(minted, other)
        keys[account and account.lower()] = own


def test_minting_many_registers_nothing(minted: AccessJwt) -> None:
    known = set(registry_module.registry._known)
    for number in range(200):
        access_token(f"user_{number}", ROOM)

    assert set(registry_module.registry._known) == known
    assert minted.jwt() not in known


class _Odd(AccessTokenGrant):
    """A grant of somebody's own."""

    def __init__(self, key: object, payload: object) -> None:
        self._key, self._payload = key, payload

    @property
    def key(self) -> Any:
        return self._key

    def to_payload(self) -> Any:
        if isinstance(self._payload, BaseException):
            raise self._payload
        return self._payload


@pytest.mark.parametrize(
    "ttl",
    [
        0,
        -1,
        86_401,
        10**400,
        True,
        1.5,
        float("nan"),
        "3600",
        None,
        timedelta(0),
        timedelta(microseconds=-1),
        timedelta(hours=24, microseconds=1),
        timedelta.max,
    ],
    ids=str,
)
def test_another_lifetime_is_refused(configured: Key, ttl: Any) -> None:
    error = refusal(lambda: access_token("ada", ROOM, ttl))

    assert error.code == "ST807"
    assert_silent(error, [configured.secret])


@pytest.mark.parametrize("identity", ["", " \t\n", None, 42, b"ada"])
def test_no_identity_is_refused(configured: Key, identity: Any) -> None:
    error = refusal(lambda: access_token(identity, ROOM))

    assert error.code == "ST808"
    assert_silent(error, [configured.secret])


@pytest.mark.parametrize(
    "grants",
    [
        None,
        [],
        "voice",
        {"voice": {}},
        [ROOM, None],
        [ROOM, VideoGrant(room="cellar")],  # Twilio's library keeps the last one only
        VideoGrant,
        AccessTokenGrant(),
        PlaybackGrant(),
        VideoGrant(room=object()),
        _Odd("identity", {}),
        _Odd(None, {}),
        _Odd("odd", ["list"]),
        _Odd("odd", {"not": float("nan")}),
    ],
    ids=range(14),
)
def test_grants_that_are_none_are_refused(configured: Key, grants: Any) -> None:
    error = refusal(lambda: access_token("ada", grants))

    assert error.code == "ST809"
    assert_silent(error, [configured.secret])


def test_a_grant_that_fails_is_not_quoted(configured: Key) -> None:
    said = auth_token()
    grant = Opaque(_Odd("odd", ValueError(f"got {said}")))
    error = refusal(lambda: access_token("ada", grant.value))

    assert error.code == "ST809"
    assert "_Odd" in str(error)
    assert leaks(str(error), [said]) == []
    assert error.__context__ is error.__cause__ is None
    assert configured


def test_a_key_declared_to_be_restricted() -> None:
    key = new_key()
    configure(key, key_type="restricted")
    error = refusal(lambda: access_token("ada", ROOM))

    assert error.code == "ST806"
    assert_silent(error, key)


@pytest.mark.parametrize("kind", ["standard", "restricted"])
def test_a_key_proven_to_be_restricted(kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody can know before somebody says it; from then on it is refused."""
    with EmulatorServer() as server:
        monkeypatch.setenv("SAFETWILIO_EMULATOR", server.url)
        made = server.emulator.account.create_key(kind)
        key = Key(server.emulator.account.sid, made.sid, made.secret)
        for name, value in key.environment().items():
            monkeypatch.setenv(name, value)
        assert claims(access_token("ada", ROOM), key)
        safetwilio.boot(verify=True)

    if kind == "standard":
        assert claims(access_token("ada", ROOM), key)
        return
    error = refusal(lambda: access_token("ada", ROOM))
    assert error.code == "ST806"
    assert_silent(error, key)


def test_a_restricted_key_of_one_account_leaves_the_others_alone() -> None:
    restricted, standard = new_key(), new_key()
    configure(restricted, key_type="restricted")
    configure(standard, MARKETING)

    assert claims(access_token("ada", ROOM, account=MARKETING), standard)
    assert refusal(lambda: access_token("ada", ROOM)).code == "ST806"


@pytest.mark.parametrize("broken", [False, True])
def test_an_account_with_the_auth_token_only(
    key: Key,
    monkeypatch: pytest.MonkeyPatch,
    broken: bool,  # noqa: FBT001
) -> None:
    """The Auth Token signs nothing, break-glass or not."""
    token = auth_token()
    monkeypatch.setenv("TWILIO_ACCOUNT_SID", key.account)
    monkeypatch.setenv("TWILIO_AUTH_TOKEN", token)
    if broken:
        with safetwilio.break_glass(reason="test"):
            error = caught(lambda: access_token("ada", ROOM))
    else:
        error = caught(lambda: access_token("ada", ROOM))

    assert isinstance(error, ConfigurationError)
    assert error.code.startswith("ST5")
    assert_silent(error, [token])


def test_nothing_boots_for_a_call_that_is_wrong_anyway() -> None:
    """Nothing is configured, but that is not what is reported."""
    assert refusal(lambda: access_token("", ROOM)).code == "ST808"
    assert isinstance(caught(lambda: access_token("ada", ROOM)), ConfigurationError)


def test_names_of_accounts_and_image_builds(
    configured: Key, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UsageError, match="ST906"):
        access_token("ada", ROOM, account="no name")
    monkeypatch.setenv("SAFETWILIO_BOOT", "off")
    with pytest.raises(UsageError, match="ST904"):
        access_token("ada", ROOM)
    assert configured


def test_only_asking_shows_it(minted: AccessJwt) -> None:
    mask = redact(minted.jwt())

    assert minted.jwt().count(".") == 2
    assert mask.startswith("[TWILIO:jwt:")
    assert [str(minted), f"{minted}", "%s" % minted, format(minted)] == [mask] * 4  # noqa: UP031
    assert (
        repr(minted)
        == f"<AccessJwt {mask} for video until {minted.expires_at:%Y-%m-%d %H:%M:%S} UTC>"
    )


def test_nothing_in_it_leads_to_the_jwt_or_the_secret(minted: AccessJwt, configured: Key) -> None:
    spotter = Spotter(minted.jwt(), configured.secret)

    assert spotter.count(minted.jwt())
    assert spotter.in_object(minted) == []
    assert not hasattr(minted, "__dict__")


def test_it_is_not_pickled(minted: AccessJwt) -> None:
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        with pytest.raises(RefusedBeforeSending) as refused:
            pickle.dumps(minted, protocol)
        assert refused.value.code == "ST803"


def test_json_fails_and_says_what_it_is(minted: AccessJwt) -> None:
    with pytest.raises(TypeError, match="AccessJwt is not JSON serializable"):
        json.dumps({"token": minted})
    assert json.loads(json.dumps({"token": minted}, default=str)) == {"token": str(minted)}


def test_fastapi_and_django_do_not_write_it_by_accident(minted: AccessJwt) -> None:
    from django.core.serializers.json import DjangoJSONEncoder
    from fastapi.encoders import jsonable_encoder

    with pytest.raises(TypeError, match="AccessJwt is not JSON serializable"):
        json.dumps(minted, cls=DjangoJSONEncoder)
    error = caught(lambda: jsonable_encoder({"token": minted}))
    assert isinstance(error, ValueError)
    assert not Spotter(minted.jwt()).in_error(error)


def test_it_is_copied_compared_and_never_changed(minted: AccessJwt) -> None:
    other = access_token("grace", ROOM)

    assert copy.copy(minted) is copy.deepcopy(minted) is minted
    assert minted == minted.jwt()
    assert minted != other
    assert minted != other.jwt()
    assert minted != str(minted)
    with pytest.raises(TypeError, match="unhashable"):
        hash(minted)
    with pytest.raises(AttributeError):
        minted.identity = "grace"
    with pytest.raises(AttributeError):
        del minted.identity
    with pytest.raises(AttributeError):
        minted.more = 1
    assert minted.identity == "ada"


def test_logs_show_the_mask_even_of_the_jwt_itself(minted: AccessJwt, configured: Key) -> None:
    """The boot has installed redaction; the formatter is everybody's."""
    out = io.StringIO()
    log, handler = logging.getLogger("app"), logging.StreamHandler(out)
    log.addHandler(handler)
    try:
        log.warning("minted %s %r %s", minted, minted, minted.jwt(), extra={"it": minted.jwt()})
    finally:
        log.removeHandler(handler)

    assert out.getvalue().count(str(minted)) == 3
    assert leaks(out.getvalue(), [minted.jwt(), configured.secret]) == []


def fail_inside(function: str, error: BaseException) -> Callable[..., None]:
    """Return a profiler that raises *error* as soon as *function* is called anywhere."""

    def profile(frame: FrameType, event: str, _: object) -> None:
        if event == "call" and frame.f_code.co_name == function:
            sys.setprofile(None)
            raise error

    return profile


# What goes wrong while Twilio's library holds the secret.
FAILURES = (RuntimeError("broken"), MemoryError(), KeyboardInterrupt(), SystemExit(3))


def test_the_frames_of_twilios_library_would_show_the_secret(key: Key) -> None:
    def mint() -> None:
        sys.setprofile(fail_inside("prepare_key", RuntimeError("broken")))
        AccessToken(key.account, key.sid, key.secret, identity="ada").to_jwt()

    error = caught(mint)
    assert isinstance(error, RuntimeError)
    assert Spotter(key.secret).in_error(error)


@pytest.mark.parametrize("failure", FAILURES, ids=lambda e: type(e).__name__)
@pytest.mark.parametrize("function", ["_generate_payload", "to_jwt", "prepare_key", "sign"])
def test_the_frames_of_ours_do_not(configured: Key, function: str, failure: BaseException) -> None:
    safetwilio.boot()
    hidden = Opaque(configured)

    def mint() -> None:
        sys.setprofile(fail_inside(function, failure))
        access_token("ada", ROOM)

    error = caught(mint)
    assert Spotter(hidden.value.secret).in_error(error) == []
    assert error.__context__ is error.__cause__ is None
    if isinstance(failure, Exception):
        assert isinstance(error, RefusedBeforeSending)
        assert (error.code, type(failure).__name__ in str(error)) == ("ST810", True)
        assert_silent(error, [hidden.value.secret])
    else:
        assert error is failure
