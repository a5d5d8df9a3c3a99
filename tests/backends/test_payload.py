"""A remote secret is read whole, written without harm to its neighbours, and never quoted."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from safetwilio.backends import payload
from safetwilio.backends.failures import Failures, silent
from safetwilio.backends.interface import Absent, Found
from safetwilio.backends.locate import parse
from safetwilio.errors import BackendError
from support import Key, Opaque, assert_silent, caught, codes, key_secret, new_key, refused

if TYPE_CHECKING:
    from collections.abc import Callable


def failures(text: str = "vault://kv/twilio") -> Failures:
    (reference,) = parse(text, place="the test")
    return Failures(reference, "the vault", "somebody")


def read(contents: Any, where: str = "vault://kv/twilio", account: str | None = None) -> Any:
    """Read as a backend would: its errors leave alone, and its arguments hold nothing."""
    held = Opaque(contents)
    del contents
    return _load(held, where, account)


@silent
def _load(held: Opaque, where: str, account: str | None) -> Any:
    document = payload.read(held.value, failures(where), account=account, version="7")
    return document.answer(account)


def key_in(answer: Found | Absent) -> Key:
    assert isinstance(answer, Found)
    fields = answer.record.fields
    return Key(*(fields[name].reveal() for name in ("account_sid", "key_sid", "secret")))


def snake(key: Key) -> dict[str, str]:
    return {"account_sid": key.account, "api_key": key.sid, "api_secret": key.secret}


def camel(key: Key) -> dict[str, str]:
    return {"accountSid": key.account, "apiKeySid": key.sid, "apiKeySecret": key.secret}


@pytest.mark.parametrize("names", [snake, camel, Key.environment])
@pytest.mark.parametrize("encode", [str, str.encode, lambda t: b"\xef\xbb\xbf" + t.encode()])
def test_json_in_each_spelling(
    key: Key, names: Callable[[Key], dict[str, str]], encode: Callable[[str], str | bytes]
) -> None:
    text = json.dumps({**names(key), "password": "of another service", "n": 1})
    answer = read(encode(text))
    assert key_in(answer) == key
    assert answer.record.version == "7"
    assert set(answer.record.fields) == {"account_sid", "key_sid", "secret"}


def test_lines(key: Key) -> None:
    assert key_in(read(f"# ours\nexport {key.dotenv()}DATABASE_URL=postgres://\n")) == key
    assert key_in(read(key.dotenv("marketing"), account="marketing")) == key


@pytest.mark.parametrize("inner", [lambda d: d, json.dumps])
def test_a_field_holds_the_record(key: Key, inner: Callable[[object], object]) -> None:
    text = json.dumps({"twilio": inner(snake(key)), "api_key": new_key().sid})
    assert key_in(read(text, "vault://kv/all#twilio")) == key


def test_a_field_may_hold_lines(key: Key) -> None:
    assert key_in(read(json.dumps({"env": key.dotenv()}), "vault://kv/all#env")) == key


def test_a_document_about_other_things_holds_no_key() -> None:
    assert isinstance(read('{"password": "x"}'), Absent)
    assert isinstance(read("DATABASE_URL=x\n"), Absent)


def test_the_main_key_of_the_managed_schema_is_called_one(key: Key) -> None:
    names = {"accountSid": key.account, "adminKeySid": key.sid, "adminKeySecret": key.secret}
    answer = read(json.dumps(names))
    assert answer.record.fields["key_type"].reveal() == "main"


BROKEN = {
    "a bare secret": ("{secret}", "one text of 32 characters"),
    "nothing": ("  \n", "it is empty"),
    "cut off": ('{"api_secret": "{secret}"', "not JSON: line 1"),
    "an array": ('["{secret}"]', "JSON, but not an object"),
    "twice": ('{"api_secret": "{secret}", "api_secret": "other"}', "api_secret is there twice"),
    "a line twice": (
        "TWILIO_API_SECRET={secret}\nTWILIO_API_SECRET=other\n",
        "TWILIO_API_SECRET is there twice",
    ),
    "a list": ('{"api_secret": ["{secret}"]}', "api_secret is a list, not a text"),
    "a number": ('{"api_secret": 12345}', "api_secret is a int, not a text"),
    "too deep": ('{"a":' * 100_000, "JSON that cannot be read"),
    "too many digits": ('{"a": ' + "1" * 5000 + "}", "JSON that cannot be read"),
}


@pytest.mark.parametrize(("text", "what"), BROKEN.values(), ids=BROKEN)
def test_what_cannot_be_read_is_said_without_a_word_of_it(text: str, what: str) -> None:
    secret = key_secret()
    held = Opaque(text.replace("{secret}", secret))
    error = refused(lambda: _load(held, "vault://kv/twilio", None))
    assert codes(error) == ["ST333"]
    assert what in error.problems[0].found_in[-1]
    assert_silent(error, [secret])


@pytest.mark.parametrize("contents", [b"\xff\xfe\x00", b"x" * (payload.LARGEST + 1)])
def test_bytes_that_are_no_text(contents: bytes) -> None:
    assert codes(refused(lambda: read(contents))) == ["ST333"]


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("{}", "no field called twilio"),
        ('{"twilio": 1}', "not an object"),
        ('{"twilio": "[]"}', "not an object"),
        ("TWILIO_API_KEY=x", "not JSON"),
    ],
)
def test_a_field_that_is_none(text: str, what: str) -> None:
    error = refused(lambda: read(text, "vault://kv/all#twilio"))
    assert codes(error) == ["ST333"]
    assert what in error.problems[0].found_in[-1]


@given(st.text() | st.binary() | st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(
        st.sampled_from(["api_key", "api_secret", "account_sid", "twilio"]) | st.text(), inner
    ),
).map(json.dumps))  # fmt: skip
def test_anything_is_read_or_refused(contents: str | bytes) -> None:
    for where in ("vault://kv/x", "vault://kv/x#twilio"):
        error = caught(lambda where=where: read(contents, where))
        assert error is None or codes(error) == ["ST333"], error


def merged(
    contents: str | None, key: Key, where: str = "vault://kv/x", style: Any = "snake"
) -> Any:
    fields = {
        "account_sid": SecretStr(key.account),
        "key_sid": SecretStr(key.sid),
        "secret": SecretStr(key.secret),
    }
    text = payload.merge(contents, fields, failures(where), account=None, style=style)
    return json.loads(text)


@pytest.mark.parametrize(
    ("style", "names"), [("snake", snake), ("camel", camel), ("environment", Key.environment)]
)
def test_a_new_document_is_written_in_the_style_of_its_place(
    key: Key, style: str, names: Callable[[Key], dict[str, str]]
) -> None:
    assert merged(None, key, style=style) == names(key)
    assert merged(" ", key, style=style) == names(key)


def test_a_key_is_written_under_the_names_it_has_and_neighbours_stay(key: Key) -> None:
    old = new_key()
    before = {**camel(old), "api_key_sid": old.sid, "keyType": "main", "db": {"p": 1.5}}
    after = {**camel(key), "api_key_sid": key.sid, "db": {"p": 1.5}}
    del after["apiKeySid"]
    assert merged(json.dumps(before), key) == after


@pytest.mark.parametrize("inner", [lambda d: d, json.dumps])
def test_a_field_is_written_in_the_form_it_has(key: Key, inner: Callable[[object], Any]) -> None:
    before = {"twilio": inner(snake(new_key())), "other": "x"}
    after = merged(json.dumps(before), key, "vault://kv/x#twilio")
    assert after == {"twilio": inner(snake(key)), "other": "x"}
    assert merged(None, key, "vault://kv/x#twilio") == {"twilio": snake(key)}


@given(st.dictionaries(st.text(), st.none() | st.booleans() | st.integers() | st.text()))
def test_whatever_else_is_there_stays(others: dict[str, Any]) -> None:
    key, mine = new_key(), payload.ours(None)
    others = {name: value for name, value in others.items() if name not in mine}
    text = json.dumps(others)
    assert merged(text, key) == {**others, **snake(key)}
    assert key_in(read(json.dumps(merged(text, key)))) == key


@pytest.mark.parametrize(
    ("text", "code"),
    [("TWILIO_API_KEY=x", "ST340"), ("secret", "ST340"), ("[]", "ST333"), ("{", "ST333")],
)
def test_what_is_not_understood_is_not_written_over(key: Key, text: str, code: str) -> None:
    with pytest.raises(BackendError) as error:
        merged(text, key)
    assert codes(error.value) == [code]


def test_each_failure_has_its_code_and_tells_who_asked() -> None:
    made = failures()
    errors = [
        made.denied(grant="it"),
        made.unauthenticated(fix="it"),
        made.unreachable(where="there", why="refused"),
        made.malformed(what="it", fix="it"),
        made.undecryptable(why="it", fix="it"),
        made.disabled(why="it", fix="it"),
        made.no_such_version(what="it", fix="it"),
        made.intercepted(why="it", fix="it"),
        made.changed_meanwhile(expected="1", found=None),
        made.plain_http(where="there"),
        made.not_written(why="it", fix="it"),
    ]
    assert [error.code for error in errors] == [f"ST{n}" for n in range(330, 341)]
    for error in errors:
        (problem,) = error.problems
        assert problem.found_in[:2] == (
            "the test: the reference vault://kv/twilio",
            "asked as somebody",
        )
