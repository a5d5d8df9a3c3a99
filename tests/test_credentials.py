"""Credentials give their secret to whoever calls for it, and to nobody who only looks."""

from __future__ import annotations

import base64
import copy
import pickle

import pytest

from safetwilio.credentials import HIDDEN, ApiKey, AuthToken, Hidden, mask
from safetwilio.errors import RefusedBeforeSending
from safetwilio.redaction import fingerprint
from safetwilio.store import CredentialStore
from support import Key, auth_token, leaks


@pytest.fixture
def credential(key: Key) -> ApiKey:
    return ApiKey(key.account, key.sid, key.secret, source="dotenv:.env", version="7")


def visible(thing: object) -> str:
    slots = [
        f"{name}={getattr(thing, name)!r}"
        for kind in type(thing).__mro__
        for name in getattr(kind, "__slots__", ())
    ]
    return "\n".join([repr(thing), str(thing), f"{thing}", *slots])


def test_secret_is_there_for_the_asking(credential: ApiKey, key: Key) -> None:
    assert credential.reveal() == key.secret
    scheme, _, encoded = credential.authorization().partition(" ")
    assert scheme == "Basic"
    assert base64.b64decode(encoded).decode() == f"{key.sid}:{key.secret}"


def test_secret_is_in_no_attribute_and_no_text(credential: ApiKey, key: Key) -> None:
    assert leaks(visible(credential), [key.secret]) == []
    assert not hasattr(credential, "__dict__")


def test_repr_shows_fingerprints_only(credential: ApiKey, key: Key) -> None:
    assert repr(credential) == f"<ApiKey {mask('key', key.sid)} of {mask('account', key.account)}>"
    assert leaks(repr(credential), [key.sid, key.account]) == []
    assert mask("key", key.sid) == f"[TWILIO:key:{fingerprint(key.sid)}]"


@pytest.mark.parametrize(
    ("version", "origin"), [("7", "dotenv:.env, version 7"), (None, "dotenv:.env")]
)
def test_origin_in_words(key: Key, version: str | None, origin: str) -> None:
    made = ApiKey(key.account, key.sid, key.secret, source="dotenv:.env", version=version)

    assert made.origin == origin


def test_auth_token_shows_its_kind_only(key: Key) -> None:
    token = auth_token()
    made = AuthToken(key.account, token)

    assert repr(made) == "<AuthToken>"
    assert made.reveal() == token
    assert leaks(visible(made), [token]) == []


def test_copies_are_the_same_object_and_pickles_are_refused(credential: ApiKey) -> None:
    hidden = Hidden(credential.reveal)

    assert copy.copy(credential) is copy.deepcopy(credential) is credential
    assert copy.deepcopy(hidden) is hidden
    for thing in (credential, hidden, [credential]):
        with pytest.raises(RefusedBeforeSending) as refused:
            pickle.dumps(thing)
        assert refused.value.code == "ST803"


def test_hidden_is_equal_to_the_secret_and_never_shows_it(credential: ApiKey, key: Key) -> None:
    hidden = Hidden(credential.reveal)

    assert hidden == key.secret
    assert hidden == Hidden(credential.reveal)
    assert hidden != key.secret[:-1]
    assert hidden != Hidden(lambda: "another")
    assert hidden != 4
    assert repr(hidden) == str(hidden) == HIDDEN
    assert leaks(visible(hidden), [key.secret]) == []


def test_hidden_has_no_hash(credential: ApiKey) -> None:
    """It would be a way to try secrets."""
    with pytest.raises(TypeError):
        hash(Hidden(credential.reveal))


def test_hidden_compares_with_any_text(credential: ApiKey) -> None:
    """A lone surrogate, as os.environ may give, must not raise an error that shows either."""
    assert Hidden(credential.reveal) != "\udcff"


def test_store_holds_one_snapshot(credential: ApiKey) -> None:
    store = CredentialStore(credential)

    assert store.current() is credential
    assert store.loaded_at > 0
    assert not hasattr(store, "__dict__")
