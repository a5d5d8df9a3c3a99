"""From the names in a document to the record they mean."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from safetwilio.backends.documents import Document, is_secret, spellings, variable, variables
from safetwilio.backends.env import document
from safetwilio.backends.interface import Absent, Found, Record, seal
from safetwilio.errors import BackendError
from safetwilio.redaction import redact
from support import Key, auth_token, key_secret, write

if TYPE_CHECKING:
    from pathlib import Path


def of(**texts: str) -> Document:
    sealed = {name: seal(text, f"test {name}", secret=False) for name, text in texts.items()}
    return Document("test:", sealed, place="test", version="1")


def record(answer: Found | Absent) -> Record:
    assert isinstance(answer, Found)
    return answer.record


def revealed(found: Record) -> dict[str, str]:
    return {name: value.reveal() for name, value in found.fields.items()}


@pytest.mark.parametrize(
    "names",
    [
        ("TWILIO_ACCOUNT_SID", "TWILIO_API_KEY", "TWILIO_API_SECRET"),
        ("TWILIO_ACCOUNT_SID", "TWILIO_API_KEY_SID", "TWILIO_API_KEY_SECRET"),
        ("account_sid", "api_key", "api_secret"),
        ("account_sid", "api_key_sid", "api_key_secret"),
        ("accountSid", "apiKeySid", "apiKeySecret"),
    ],
)
def test_every_spelling_means_the_same(names: tuple[str, str, str], key: Key) -> None:
    found = record(of(**dict(zip(names, key, strict=True))).answer(None))

    assert revealed(found) == {"account_sid": key.account, "key_sid": key.sid, "secret": key.secret}
    assert (found.source, found.version, found.problems) == ("test:", "1", ())


def test_managed_schema_of_a_main_key_says_its_kind(key: Key) -> None:
    found = record(of(accountSid=key.account, adminKeySid=key.sid, adminKeySecret="x").answer(None))

    assert revealed(found)["key_type"] == "main"


def test_other_fields(key: Key) -> None:
    found = record(
        of(
            apiKeySid=key.sid,
            apiKeySecret=key.secret,
            TWILIO_REGION="ie1",
            edge="dublin",
            keyType="restricted",
            validationUrl="https://api.twilio.com/x",
        ).answer(None)
    )

    assert revealed(found) == {
        "key_sid": key.sid,
        "secret": key.secret,
        "region": "ie1",
        "edge": "dublin",
        "key_type": "restricted",
        "validation_url": "https://api.twilio.com/x",
    }


def test_without_a_part_of_the_pair_it_is_absent_but_remembers_what_it_met(key: Key) -> None:
    absent = of(accountSid=key.account, authToken=auth_token()).answer(None)

    assert isinstance(absent, Absent)
    assert absent.attempts == (
        ("test", "TWILIO_API_KEY", "not set"),
        ("test", "TWILIO_API_SECRET", "not set"),
    )
    assert absent.token_places == ("test authToken",)
    assert absent.account_sid is not None
    assert absent.account_sid.reveal() == key.account


def test_the_token_is_never_a_field(key: Key) -> None:
    found = record(of(api_key=key.sid, api_secret=key.secret, TWILIO_AUTH_TOKEN="t").answer(None))

    assert "auth_token" not in found.fields
    assert found.token_places == ("test TWILIO_AUTH_TOKEN",)


def test_half_a_pair_is_found(key: Key) -> None:
    assert revealed(record(of(api_key=key.sid).answer(None))) == {"key_sid": key.sid}


@pytest.mark.parametrize("blank", ["", "  ", "\n", "\ufeff"])
def test_blank_parts_of_the_pair_stay_to_be_complained_about(blank: str, key: Key) -> None:
    assert revealed(record(of(api_key=key.sid, api_secret=blank).answer(None)))["secret"] == ""


@pytest.mark.parametrize("name", ["TWILIO_REGION", "TWILIO_EDGE", "TWILIO_AUTH_TOKEN"])
def test_other_blank_fields_are_not_set(name: str) -> None:
    answer = of(**{name: "  ", "api_key": "x"}).answer(None)

    assert list(record(answer).fields) == ["key_sid"]
    assert record(answer).token_places == ()


def test_blank_alias_gives_way_to_the_filled_one(key: Key) -> None:
    found = record(of(TWILIO_API_KEY="", TWILIO_API_KEY_SID=key.sid).answer(None))

    assert revealed(found)["key_sid"] == key.sid
    assert found.problems == ()


def test_same_value_twice_is_fine(key: Key) -> None:
    found = record(of(TWILIO_API_KEY=key.sid, TWILIO_API_KEY_SID=f"{key.sid}\n").answer(None))

    assert found.problems == ()


@pytest.mark.parametrize(
    ("first", "second", "label"),
    [
        ("TWILIO_API_KEY", "TWILIO_API_KEY_SID", "key SID"),
        ("TWILIO_API_SECRET", "api_secret", "secret"),
        ("TWILIO_ACCOUNT_SID", "accountSid", "account SID"),
    ],
)
def test_contradiction(first: str, second: str, label: str) -> None:
    found = record(of(**{first: "one", second: "two", "api_key": "one"}).answer(None))

    (problem,) = found.problems
    assert problem.code == "ST211"
    assert problem.summary == f"The {label} is set twice, to different values."
    assert problem.found_in == (f"test {first}", f"test {second}")


@pytest.mark.skipif(os.name != "posix", reason="the environment holds bytes")
def test_contradiction_of_what_is_no_text(monkeypatch: pytest.MonkeyPatch, key: Key) -> None:
    """UnicodeEncodeError is a ValueError that carries the value."""
    monkeypatch.setenv("TWILIO_API_SECRET", key.secret)
    monkeypatch.setenv("TWILIO_API_KEY_SECRET", os.fsdecode(b"\xff" + key.secret.encode()))

    assert [p.code for p in record(document(None).answer(None)).problems] == ["ST211"]


def test_three_different_values_are_one_problem() -> None:
    found = of(TWILIO_API_KEY="1", TWILIO_API_KEY_SID="2", api_key="3").answer(None)

    assert len(record(found).problems) == 1


def test_is_read(tmp_path: Path, key: Key) -> None:
    path = write(tmp_path / "s", f"\ufeff{key.secret}\r\n")
    found = record(of(TWILIO_API_SECRET_FILE=f" {path}\n").answer(None))

    assert revealed(found)["secret"] == key.secret
    assert found.fields["secret"].place == "the file named by test TWILIO_API_SECRET_FILE"


def test_contradicting_the_variable(tmp_path: Path, key: Key) -> None:
    path = write(tmp_path / "s", key_secret())
    answer = of(TWILIO_API_SECRET=key.secret, TWILIO_API_SECRET_FILE=str(path)).answer(None)

    assert [p.code for p in record(answer).problems] == ["ST211"]


def test_blank_path_is_not_set() -> None:
    assert isinstance(of(TWILIO_API_SECRET_FILE=" ").answer(None), Absent)


def test_permissions_are_looked_at(tmp_path: Path, key: Key) -> None:
    path = write(tmp_path / "s", key.secret, mode=0o644)
    answer = of(TWILIO_API_SECRET_FILE=str(path)).answer(None)

    assert [p.code for p in record(answer).problems] == (["ST306"] if os.name == "posix" else [])


def test_every_missing_file_is_reported(tmp_path: Path) -> None:
    """All problems at once, not one for each restart."""
    names = ("TWILIO_ACCOUNT_SID_FILE", "TWILIO_API_KEY_FILE", "TWILIO_API_SECRET_FILE")
    broken = of(**{name: str(tmp_path / "missing") for name in names})
    with pytest.raises(BackendError) as refused:
        broken.answer(None)

    assert [p.code for p in refused.value.problems] == ["ST305"] * 3
    assert [p.found_in[0].rpartition(" ")[2] for p in refused.value.problems] == list(names)
    assert broken.problems == refused.value.problems


def test_file_of_the_token_may_be_missing(tmp_path: Path, key: Key) -> None:
    """Beside a key the token is not needed; that it is named is worth a warning elsewhere."""
    answer = of(
        api_key=key.sid, api_secret=key.secret, TWILIO_AUTH_TOKEN_FILE=str(tmp_path / "no")
    ).answer(None)

    assert record(answer).token_places == ("test TWILIO_AUTH_TOKEN_FILE",)


def test_file_of_the_token_is_hidden_from_logs(tmp_path: Path) -> None:
    token = auth_token()
    path = write(tmp_path / "t", token)
    of(TWILIO_AUTH_TOKEN_FILE=str(path)).answer(None)

    assert token not in redact(f"oops {token}")


def test_single_field() -> None:
    surroundings = of(TWILIO_REGION="ie1")
    region = surroundings.field("region", None)

    assert region is not None
    assert region.reveal() == "ie1"
    assert surroundings.field("edge", None) is None


def test_names_of_an_account() -> None:
    assert variable("key_sid", None) == "TWILIO_API_KEY"
    assert variable("key_sid", "marketing", 1) == "TWILIO_MARKETING_API_KEY_SID"
    assert spellings("secret", "m") == (
        "TWILIO_M_API_SECRET",
        "TWILIO_M_API_KEY_SECRET",
        "TWILIO_M_API_SECRET_FILE",
        "TWILIO_M_API_KEY_SECRET_FILE",
    )
    assert not variables(None) & variables("marketing")


@pytest.mark.parametrize(
    ("name", "secret"),
    [
        ("TWILIO_API_SECRET", True),
        ("TWILIO_MARKETING_API_KEY_SECRET", True),
        ("TWILIO_AUTH_TOKEN", True),
        ("authToken", True),
        ("apiKeySecret", True),
        ("TWILIO_API_SECRET_FILE", False),
        ("TWILIO_API_KEY", False),
        ("region", False),
    ],
)
def test_is_secret(name: str, secret: bool) -> None:  # noqa: FBT001
    assert is_secret(name) is secret


def test_sealing_makes_redaction_know_secrets_and_tokens_and_nothing_else() -> None:
    secret, token, word = key_secret(), auth_token(), key_secret(12)
    for text in (f" {secret}\n", f"\ufeff{token}", word):
        seal(text, "test", secret=True)
    hidden = redact(f"{secret} {token} {word}")

    assert secret not in hidden
    assert token not in hidden
    assert word in hidden


def test_sealed_text_is_not_shown(key: Key) -> None:
    assert key.secret not in repr(seal(key.secret, "test", secret=True))


def test_white_space_and_marks_around_a_value_are_no_part_of_it() -> None:
    assert seal("\ufeff \tx\r\n", "test", secret=False).reveal() == "x"
    assert seal(" \ufeffx\ufeff ", "test", secret=False).reveal() == "x"
