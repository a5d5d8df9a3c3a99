"""A document that holds an API key and the Auth Token: to write one leaves the other alone."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import SecretStr

from safetwilio.backends import payload
from safetwilio.backends.doppler_changes import changes
from safetwilio.backends.dotenv import DotenvBackend
from safetwilio.backends.failures import Failures
from safetwilio.backends.locate import parse
from support import Key, auth_token, new_key, write

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

STYLES = ("environment", "snake", "camel")
NAMES = {
    "environment": {
        "sid": "TWILIO_ACCOUNT_SID", "key": "TWILIO_API_KEY", "secret": "TWILIO_API_SECRET",
        "token": "TWILIO_AUTH_TOKEN", "hooks": "TWILIO_WEBHOOK_AUTH_TOKEN",
        "standby": "TWILIO_WEBHOOK_SECONDARY_AUTH_TOKEN", "kind": "key_type",
    },
    "snake": {
        "sid": "account_sid", "key": "api_key", "secret": "api_secret", "token": "auth_token",
        "hooks": "webhook_auth_token", "standby": "webhook_secondary_auth_token",
        "kind": "key_type",
    },
    "camel": {
        "sid": "accountSid", "key": "apiKeySid", "secret": "apiKeySecret", "token": "authToken",
        "hooks": "webhookAuthToken", "standby": "webhookSecondaryAuthToken", "kind": "keyType",
    },
}  # fmt: skip


def failures(text: str) -> Failures:
    (reference,) = parse(text, place="the test")
    return Failures(reference, "the vault", "somebody")


def secret(fields: Mapping[str, str]) -> dict[str, SecretStr]:
    return {name: SecretStr(text) for name, text in fields.items()}


def key_fields(key: Key) -> dict[str, SecretStr]:
    return secret({"account_sid": key.account, "key_sid": key.sid, "secret": key.secret})


def whole(key: Key, style: str, token: str) -> dict[str, str]:
    """Return a document with a key and its kind, the token, and what is another program's."""
    names = NAMES[style]
    return {
        names["sid"]: key.account, names["key"]: key.sid, names["secret"]: key.secret,
        names["kind"]: "restricted", names["token"]: token, "password": "another's",
    }  # fmt: skip


def merged(document: Mapping[str, Any], fields: Mapping[str, SecretStr], style: Any) -> Any:
    text = payload.merge(
        json.dumps(document), fields, failures("vault://kv/x"), account=None, style=style
    )
    return json.loads(text)


@pytest.mark.parametrize("style", STYLES)
def test_a_token_leaves_the_key_its_secret_and_its_kind(key: Key, style: str) -> None:
    names, new, standby = NAMES[style], auth_token(), auth_token()
    before = whole(key, style, auth_token())
    fields = secret({"auth_token": new, "webhook_secondary_auth_token": standby})
    after = merged(before, fields, style)
    assert after == {**before, names["token"]: new, names["standby"]: standby}


@pytest.mark.parametrize("style", STYLES)
def test_a_standby_alone_adds_one_name(key: Key, style: str) -> None:
    standby, before = auth_token(), whole(key, style, auth_token())
    after = merged(before, secret({"webhook_secondary_auth_token": standby}), style)
    assert after == {**before, NAMES[style]["standby"]: standby}


@pytest.mark.parametrize("style", STYLES)
def test_a_token_for_webhooks_does_not_write_over_the_other_one(key: Key, style: str) -> None:
    """It may be read under that name, which is another field's."""
    names, new = NAMES[style], auth_token()
    before = whole(key, style, auth_token())
    after = merged(before, secret({"webhook_auth_token": new}), style)
    assert after == {**before, names["hooks"]: new}


@pytest.mark.parametrize("style", STYLES)
def test_a_key_leaves_the_tokens_and_loses_the_kind_of_the_old_one(key: Key, style: str) -> None:
    names, other = NAMES[style], new_key()
    before = {
        **whole(key, style, auth_token()),
        names["hooks"]: auth_token(),
        names["standby"]: auth_token(),
    }
    after = merged(before, key_fields(other), style)
    assert names["kind"] not in after
    for name in ("token", "hooks", "standby"):
        assert after[names[name]] == before[names[name]]
    assert after[names["secret"]] == other.secret
    assert after["password"] == "another's"


@pytest.mark.parametrize("as_text", [False, True])
@pytest.mark.parametrize("style", STYLES)
def test_below_a_field(key: Key, style: Any, *, as_text: bool) -> None:
    """What stands beside the field stays, whatever it is called."""
    names, new = NAMES[style], auth_token()
    inner = whole(key, style, auth_token())
    document = {"twilio": json.dumps(inner) if as_text else inner, "auth_token": "another's"}
    text = payload.merge(
        json.dumps(document), secret({"auth_token": new}), failures("vault://kv/x#twilio"),
        account=None, style=style,
    )  # fmt: skip
    after = json.loads(text)
    found = json.loads(after["twilio"]) if as_text else after["twilio"]
    assert found == {**inner, names["token"]: new}
    assert after["auth_token"] == "another's"


# .env


def dotenv(path: Path, fields: Mapping[str, SecretStr]) -> dict[str, str]:
    (reference,) = parse(f"dotenv:{path}", place="the test")
    DotenvBackend(reference).save(fields, account=None)
    return dict(line.split("=", 1) for line in path.read_text().splitlines())


def test_in_dotenv_neither_disturbs_the_other(key: Key, tmp_path: Path) -> None:
    names, other, new = NAMES["environment"], new_key(), auth_token()
    before = {**whole(key, "environment", auth_token()), names["hooks"]: auth_token()}
    path = write(tmp_path / ".env", "".join(f"{k}={v}\n" for k, v in before.items()))
    after = dotenv(path, secret({"auth_token": new}))
    assert after == {**before, names["token"]: new}
    again = dotenv(path, key_fields(other))
    assert again[names["token"]] == new
    assert again[names["hooks"]] == before[names["hooks"]]
    assert again[names["secret"]] == other.secret


def test_in_dotenv_a_token_for_webhooks_has_a_name_of_its_own(tmp_path: Path) -> None:
    old, new = auth_token(), auth_token()
    path = write(tmp_path / ".env", f"TWILIO_AUTH_TOKEN={old}\n")
    assert dotenv(path, secret({"webhook_auth_token": new})) == {
        "TWILIO_AUTH_TOKEN": old,
        "TWILIO_WEBHOOK_AUTH_TOKEN": new,
    }


# Doppler


def test_in_doppler_a_token_changes_its_own_name_alone(key: Key) -> None:
    names, new = NAMES["environment"], auth_token()
    before = secret(whole(key, "environment", auth_token()))
    wanted = changes(secret({"auth_token": new}), before, None)
    assert [(each["name"], each["value"]) for each in wanted] == [(names["token"], new)]
    assert wanted[0]["originalValue"] == before[names["token"]].get_secret_value()


def test_in_doppler_a_token_for_webhooks_and_a_standby_are_added(key: Key) -> None:
    names = NAMES["environment"]
    before = secret(whole(key, "environment", auth_token()))
    fields = secret({"webhook_auth_token": "1", "webhook_secondary_auth_token": "2"})
    wanted = changes(fields, before, None)
    assert [(each["name"], each["originalName"]) for each in wanted] == [
        (names["hooks"], None),
        (names["standby"], None),
    ]
    assert not any("shouldDelete" in each for each in wanted)


def test_in_doppler_a_key_leaves_the_tokens(key: Key) -> None:
    before = secret(whole(key, "environment", auth_token()))
    wanted = changes(key_fields(new_key()), before, None)
    assert NAMES["environment"]["token"] not in {each["name"] for each in wanted}
