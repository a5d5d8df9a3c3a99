"""Each rule: which value breaks it, with which code, and that the value is never repeated."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import pytest

from safetwilio import rules
from support import account_sid, auth_token, key_secret, key_sid, leaks

if TYPE_CHECKING:
    from collections.abc import Callable

    from safetwilio.problems import Problem

PLACE = "env SOME_NAME"
ACCOUNT, KEY, SECRET = rules.check_account_sid, rules.check_key_sid, rules.check_secret
FIELDS = [ACCOUNT, KEY, SECRET]


@pytest.mark.parametrize(
    ("check", "value"),
    [
        (ACCOUNT, account_sid()),
        (ACCOUNT, "AC5afe0000" + account_sid()[10:]),
        (KEY, key_sid()),
        (SECRET, key_secret()),
    ],
    ids=["account", "emulated", "key", "secret"],
)
def test_good(check: Callable[[str, str], Problem | None], value: str) -> None:
    assert check(value, PLACE) is None


@pytest.mark.parametrize("length", [20, 31, 33, 64])
def test_an_odd_length_is_a_warning(length: int) -> None:
    problem = SECRET(key_secret(length), PLACE)
    assert problem is not None
    assert (problem.code, problem.severity) == ("ST225", "warning")
    assert f"{length} characters" in problem.found_in[0]


@pytest.mark.parametrize(
    ("check", "make", "code", "words"),
    [
        (ACCOUNT, key_sid, "ST202", "is an API key SID"),
        (ACCOUNT, lambda: account_sid()[:-1], "ST201", "malformed"),
        (ACCOUNT, lambda: account_sid().lower(), "ST201", "malformed"),
        (ACCOUNT, key_secret, "ST201", "malformed"),
        (KEY, account_sid, "ST203", "not an API key SID"),
        (KEY, lambda: key_sid() + "0", "ST204", "malformed"),
        (KEY, key_secret, "ST204", "looks like a secret"),
        (KEY, auth_token, "ST204", "looks like a secret"),
        (SECRET, auth_token, "ST206", "master Auth Token"),
        (SECRET, key_sid, "ST207", "is a SID"),
        (SECRET, account_sid, "ST207", "is a SID"),
        (SECRET, lambda: key_secret(19), "ST205", "wrong length"),
        (SECRET, lambda: key_secret(65), "ST205", "wrong length"),
        (SECRET, lambda: key_secret(31) + "\u200b", "ST205", "characters"),
        (SECRET, lambda: key_secret(15) + " " + key_secret(16), "ST205", "characters"),
    ],
)
def test_bad(
    check: Callable[[str, str], Problem | None], make: Callable[[], str], code: str, words: str
) -> None:
    value = make()
    problem = check(value, PLACE)

    assert problem is not None
    assert (problem.code, problem.severity) == (code, "fault")
    assert words in problem.summary
    assert problem.found_in[0].startswith(f"{PLACE} ({len(value)} characters")
    assert problem.fix
    assert leaks(repr(problem), [value]) == []


@pytest.mark.parametrize("check", FIELDS)
@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda _: "", "ST105"),
        (lambda v: f'"{v}"', "ST209"),
        (lambda v: f"'{v}'", "ST209"),
        (lambda v: f"\u201c{v}\u201d", "ST209"),
        (lambda v: f'{v}"', "ST209"),
        (lambda v: f"encrypted:{v}", "ST212"),
        (lambda _: "your_value_here", "ST208"),
        (lambda _: '"your_value_here"', "ST209"),
        (lambda _: "AC" + "x" * 32, "ST208"),
    ],
)
def test_faults_that_any_field_may_have_come_first(
    check: Callable[[str, str], Problem | None], change: Callable[[str], str], code: str
) -> None:
    """One problem for each field, and the most telling one."""
    value = change(key_secret())
    problem = check(value, PLACE)

    assert problem is not None
    assert problem.code == code
    assert PLACE in problem.found_in[0]


def test_nothing_to_measure_in_an_empty_value() -> None:
    problem = rules.check_secret("", PLACE)

    assert problem is not None
    assert problem.found_in == (PLACE,)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("x", "1 character"),
        ("xy", "2 characters"),
        (f"AC{'0' * 32}", '34 characters, starts with "AC"'),
    ],
)
def test_describe(value: str, words: str) -> None:
    assert rules.describe(value) == words


@pytest.mark.parametrize(("name", "example"), [("region", "ie1"), ("edge", "dublin")])
def test_region_and_edge(name: str, example: str) -> None:
    problem = rules.check_region_or_edge(name, "evil.example/", PLACE)

    assert rules.check_region_or_edge(name, example, PLACE) is None
    assert problem is not None
    assert (problem.code, problem.summary) == ("ST213", f"The {name} is malformed.")
    assert example in problem.fix


@pytest.mark.parametrize(
    "url",
    [
        "https://api.twilio.com/2010-04-01/x.json",
        "https://API.Twilio.com/",
        "https://a.b.twilio.com",
    ],
)
def test_validation_url(url: str) -> None:
    assert rules.check_validation_url(url, PLACE) is None


@pytest.mark.parametrize(
    "url",
    [
        "http://api.twilio.com/",
        "https://twilio.com.evil.example/",
        "https://eviltwilio.com/",
        "https://u:p@api.twilio.com/",
        "https://evil.example/@api.twilio.com",
        "https://evil.example\\.twilio.com/",
        "https://evil.example?.twilio.com/",
        "https://evil.example#.twilio.com/",
        "",
    ],
)
def test_validation_url_elsewhere(url: str) -> None:
    """The key is sent to it, so a host that two libraries might read differently is refused."""
    problem = rules.check_validation_url(url, PLACE)

    assert problem is not None
    assert problem.code == "ST218"
    assert "evil" not in repr(problem)


REAL, EMULATED = (account_sid(), key_sid()), ("AC5afe0000" + "1" * 24, "SK5afe0000" + "1" * 24)


@pytest.mark.parametrize(
    ("sids", "emulator", "code"),
    [
        (REAL, None, None),
        (EMULATED, "http://127.0.0.1:1", None),
        (EMULATED, None, "ST214"),
        ((REAL[0], EMULATED[1]), None, "ST214"),
        (REAL, "http://127.0.0.1:1", "ST215"),
        ((EMULATED[0], REAL[1]), "http://127.0.0.1:1", "ST215"),
    ],
)
def test_emulator_and_live_credentials_never_mix(
    sids: tuple[str, str], emulator: str | None, code: str | None
) -> None:
    problem = rules.check_emulated(sids=sids, emulator=emulator)

    assert (problem and problem.code) == code


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ('{"api_secret": "x"}', "JSON document"),
        ("{", "JSON document"),
        ("op://vault/twilio/secret", "reference"),
        ("vault:secret/data/twilio#api_secret", "reference"),
        (base64.b64encode(key_secret().encode()).decode(), "base64"),
    ],
    ids=["json", "brace", "op", "vault", "base64"],
)
def test_a_secret_that_is_still_inside_something(value: str, words: str) -> None:
    problem = rules.check_secret(value, PLACE)

    assert problem is not None
    assert problem.code == "ST205"
    assert words in problem.summary
