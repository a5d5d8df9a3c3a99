"""Fault scripts: what they plan, and what is said about a bad one."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from asking import Ask, pair_of, paths
from hypothesis import given
from hypothesis import strategies as st

from safetwilio.errors import UsageError
from safetwilio.testing import Emulator
from safetwilio.testing.exchange import Delivery
from safetwilio.testing.scripts import _FORMS, _KINDS, LARGEST_SCRIPT, Step, parse_json, read
from support import assert_silent, key_secret

if TYPE_CHECKING:
    from pathlib import Path

SCRIPT = """\
[[faults]]
kind = "nothing"

[[faults]]
kind = "status"
code = 429
retry_after = 1.5
times = 2

[[faults]]
kind = "drop"
applied = true
match = "GET */Messages.json"

[[faults]]
kind = "hold"
until = "POST *"

[[faults]]
kind = "limit"
per_second = 1000
concurrency = 1
"""
GOOD: dict[str, Any] = {
    "seconds": 1,
    "retry_after": 0.5,
    "for_seconds": 2.5,
    "code": 503,
    "applied": False,
    "times": 3,
    "per_second": 10,
    "concurrency": 2,
    "match": "POST *",
    "until": "GET *",
}


def steps(document: object, name: str) -> list[Step]:
    return parse_json(json.dumps(document).encode(), name)


def refused(call: Any) -> UsageError:
    with pytest.raises(UsageError) as caught:
        call()
    assert caught.value.code == "ST921"
    return caught.value


def test_a_script_happens_in_its_order(tmp_path: Path, emulator: Emulator) -> None:
    path = tmp_path / "faults.toml"
    path.write_text(SCRIPT)
    for step in read(path):
        step.plan(emulator.faults)
    at, key = paths(emulator.account)["messages"], pair_of(emulator.standard_key)
    answers = [Ask(emulator)("GET", at, key) for _ in range(6)]
    assert [each.status for each in answers] == [200, 429, 429, 200, 200, 200]
    assert answers[1].headers["Retry-After"] == "1.5"
    assert answers[3].delivery is Delivery.DROPPED
    assert answers[4].held is not None
    assert len(emulator.faults) == 0


def test_json_says_the_same(tmp_path: Path) -> None:
    import tomllib

    toml, other = tmp_path / "faults.toml", tmp_path / "faults.json"
    toml.write_text(SCRIPT)
    other.write_text(json.dumps(tomllib.loads(SCRIPT)))
    assert read(toml) == read(other)


@pytest.mark.parametrize("kind", _KINDS)
def test_each_kind_takes_all_its_keys(kind: str, emulator: Emulator) -> None:
    keys = {*_KINDS[kind].needs, *_KINDS[kind].takes}
    [step] = steps({"faults": [{"kind": kind} | {key: GOOD[key] for key in keys}]}, "x")
    step.plan(emulator.faults)
    assert len(emulator.faults) == (kind != "limit")


@pytest.mark.parametrize("kind", [kind for kind in _KINDS if _KINDS[kind].needs])
def test_a_needed_key_is_named(kind: str) -> None:
    error = refused(lambda: steps({"faults": [{"kind": "nothing"}, {"kind": kind}]}, "f.toml"))
    assert f"f.toml: fault 2: {kind} needs {_KINDS[kind].needs[0]}" in str(error)


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"kind": "explode"}, "kind is one of nothing, latency"),
        ({"kind": 1}, "kind is one of"),
        ({"match": "*"}, "kind is one of"),
        ("drop", "is a table with a kind"),
        ({"kind": "drop", "applied": "yes"}, "applied is true or false"),
        ({"kind": "drop", "applied": True, "code": 500}, "drop takes no code; it takes applied"),
        ({"kind": "status", "code": 200}, "code is an HTTP status from 400 to 599"),
        ({"kind": "status", "code": 499}, "code is an HTTP status from 400 to 599"),
        ({"kind": "status", "code": 429, "applied": True}, "never processes"),
        ({"kind": "latency", "seconds": -1}, "seconds is a number of seconds"),
        ({"kind": "latency", "seconds": float("inf")}, "seconds is a number of seconds"),
        ({"kind": "latency", "seconds": True}, "seconds is a number of seconds"),
        ({"kind": "nothing", "times": 0}, "times is a whole number from 1"),
        ({"kind": "nothing", "times": 1.5}, "times is a whole number from 1"),
        ({"kind": "nothing", "for_seconds": 0}, "for_seconds is seconds, more than 0"),
        ({"kind": "hold", "until": ""}, "until is a pattern"),
        ({"kind": "limit"}, "limit needs per_second, concurrency or both"),
        ({"kind": "limit", "concurrency": 1, "times": 1}, "limit takes no times"),
    ],
)
def test_what_is_wrong_is_named(table: object, said: str) -> None:
    error = refused(lambda: steps({"faults": [{"kind": "nothing"}, table]}, "f.toml"))
    assert str(error).startswith("[ST921] f.toml: fault 2: ")
    assert said in str(error)


@pytest.mark.parametrize("document", [{}, [], {"faults": {}}, {"faults": [], "x": 1}, None, "x"])
def test_a_document_of_another_form_is_refused(document: object) -> None:
    assert "one list called faults" in str(refused(lambda: steps(document, "f.toml")))


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.toml", b"[[faults]]\nkind = ?", "is not TOML, at line 2, column 8"),
        ("a.toml", b"\xff", "is not TOML"),
        ("a.json", b'{"faults": [\n}', "line 2, column 1"),
        ("a.json", b"\xff\xff", "is not JSON"),
        ("a.json", b"[" * 100_000, "is not JSON"),
        ("a.json", b" " * (LARGEST_SCRIPT + 1), "is larger than"),
        ("absent.json", None, "cannot be read: No such file"),
    ],
)
def test_a_file_that_cannot_be_read_is_named_with_the_line(
    tmp_path: Path, name: str, content: bytes | None, said: str
) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    error = refused(lambda: read(path))
    assert str(path) in str(error)
    assert said in str(error)


@pytest.mark.parametrize(
    "form",
    ['[[faults]]\nkind = "{}"', "[[faults]]\n{} = 1", 'x = "{}', "{} = 1\n{} = 2", "[{}]\n[{}]"],
)
def test_what_stands_in_the_file_is_not_said_again(tmp_path: Path, form: str) -> None:
    """Somebody may name the wrong file, with a secret in it."""
    secret, path = key_secret(), tmp_path / "a.toml"
    path.write_text(form.replace("{}", secret))
    assert_silent(refused(lambda: read(path)), [secret])


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["faults", "kind", *_FORMS]) | st.text(), inner, max_size=4
        )
    ),
    max_leaves=12,
)
TABLE = st.fixed_dictionaries(
    {"kind": st.sampled_from(list(_KINDS))}, optional=dict.fromkeys(_FORMS, JSON)
)


@given(document=JSON | st.fixed_dictionaries({"faults": st.lists(TABLE, max_size=3)}))
def test_any_document_is_planned_or_refused(document: Any) -> None:
    emulator = Emulator()
    try:
        planned = parse_json(json.dumps(document).encode(), "x")
    except UsageError as error:
        assert error.code == "ST921"  # noqa: PT017 - either way is fine
        return
    for step in planned:
        step.plan(emulator.faults)


@given(content=st.binary(max_size=200))
def test_any_bytes_are_planned_or_refused(content: bytes) -> None:
    try:
        assert parse_json(content, "x") == []
    except UsageError as error:
        assert error.code == "ST921"  # noqa: PT017 - either way is fine
