"""One ``.env`` file: what it means, what is broken, and on which line; never what the line says."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from dotenv import dotenv_values

from safetwilio.backends.dotenv import DotenvBackend
from safetwilio.backends.interface import Absent, Found, Record
from safetwilio.backends.locate import parse
from safetwilio.errors import BackendError
from support import Key, auth_token, key_secret, leaks, new_key, write


def load(location: object = "", account: str | None = None) -> Found | Absent:
    (reference,) = parse(f"dotenv:{location}" if location else "dotenv", place="the test")
    return DotenvBackend(reference).load(account)


def record(text: str | bytes, account: str | None = None) -> Record:
    write(Path(".env"), text)
    answer = load(account=account)
    assert isinstance(answer, Found)
    return answer.record


def revealed(found: Record) -> Key:
    return Key(*(found.fields[name].reveal() for name in ("account_sid", "key_sid", "secret")))


def test_reads_env_in_this_directory_by_default(key: Key) -> None:
    found = record(key.dotenv())

    assert revealed(found) == key
    assert found.fields["secret"].place == ".env, line 3, TWILIO_API_SECRET"


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.replace("=", " = "),
        lambda text: text.replace("TWILIO", "export TWILIO"),
        lambda text: text.replace("=", "='").replace("\n", "'\n"),
        lambda text: text.replace("=", '="').replace("\n", '"\n'),
        lambda text: text.replace("\n", "   # a comment\n"),
        lambda text: text.rstrip("\n"),
        lambda text: "\ufeff" + text,
        lambda text: "# comment\n\nOTHER=1\n" + text + "\n\n",
        lambda text: "TWILIO_API_SECRET=overridden\n" + text,
    ],
    ids=[
        "crlf",
        "spaces",
        "export",
        "single",
        "double",
        "comments",
        "no-newline",
        "bom",
        "others",
        "last-wins",
    ],
)
def test_writing_styles(key: Key, change) -> None:  # noqa: ANN001
    assert revealed(record(change(key.dotenv()))) == key


def test_account(key: Key) -> None:
    other = new_key()

    assert revealed(record(key.dotenv() + other.dotenv("sales"), "sales")) == other


def test_named_file(tmp_path: Path, key: Key) -> None:
    write(tmp_path / "my app.env", key.dotenv())
    answer = load(f"{tmp_path}/my%20app.env")

    assert isinstance(answer, Found)
    assert answer.record.source == f"dotenv:{tmp_path}/my%20app.env"


def test_version_changes_with_the_text_and_shows_nothing_of_it(key: Key) -> None:
    first, second = record(key.dotenv()), record(key.dotenv() + "\n")

    assert first.version
    assert first.version != second.version
    assert leaks(first.version, key) == []


def test_missing_file_is_absent_and_the_reader_learns_where_it_was_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    relative, absolute = load(), load(tmp_path / ".env")
    assert isinstance(relative, Absent)
    assert isinstance(absolute, Absent)
    assert relative.attempts == (("dotenv", ".env", f"no such file in {Path.cwd()}"),)
    assert absolute.attempts == (("dotenv", f"{tmp_path}/.env", "no such file"),)

    def gone() -> Path:
        raise FileNotFoundError

    monkeypatch.setattr(Path, "cwd", gone)
    answer = load()
    assert isinstance(answer, Absent)
    assert answer.attempts[0].outcome == "no such file"


def test_parents_are_not_searched(key: Key, monkeypatch: pytest.MonkeyPatch) -> None:
    write(Path(".env"), key.dotenv())
    Path("below").mkdir()
    monkeypatch.chdir("below")

    assert isinstance(load(), Absent)


def test_file_without_a_key_is_absent_but_its_token_is_seen(key: Key) -> None:
    write(Path(".env"), f"TWILIO_ACCOUNT_SID={key.account}\nTWILIO_AUTH_TOKEN={auth_token()}\n")
    answer = load()

    assert isinstance(answer, Absent)
    assert answer.attempts[0] == (".env", "TWILIO_API_KEY", "not set")
    assert answer.token_places == (".env, line 2, TWILIO_AUTH_TOKEN",)
    assert answer.account_sid is not None


def test_name_without_a_value_is_not_set() -> None:
    write(Path(".env"), "TWILIO_API_SECRET\n")

    assert isinstance(load(), Absent)


def test_from_the_file_and_the_environment(key: Key, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEPLOY_KEY", key.sid)
    text = f"BASE={key.secret}\nTWILIO_ACCOUNT_SID={key.account}\n"
    text += "TWILIO_API_KEY=${DEPLOY_KEY}\nTWILIO_API_SECRET=${BASE}\n"

    assert revealed(record(text)) == key


def test_default(key: Key) -> None:
    text = key._replace(secret=f"${{NOT_SET:-{key.secret}}}").dotenv()

    assert revealed(record(text)) == key


def test_unset_variable_leaves_it_empty(key: Key) -> None:
    """And not a text that looks like a placeholder nobody has filled in."""
    assert revealed(record(key._replace(secret="${NOT_SET}").dotenv())).secret == ""


@pytest.mark.parametrize("blank", ["", "\n", "\n\n\n", "# comment\n\n", "OTHER='a\nb'\n\n"])
def test_number_counts_blank_lines_and_comments(key: Key, blank: str) -> None:
    write(Path(".env"), f"{blank}TWILIO_API_SECRET: {key.secret}\n")
    with pytest.raises(BackendError) as refused:
        load()
    (problem,) = refused.value.problems

    assert (problem.code, problem.severity) == ("ST304", "fault")
    assert problem.found_in == (f".env, line {blank.count(chr(10)) + 1}",)
    assert leaks(str(refused.value), [key.secret]) == []


def test_all_numbers() -> None:
    write(Path(".env"), "a b\nGOOD=1\n\nc d\n")
    with pytest.raises(BackendError, match=r"line 1, 4"):
        load()


def test_unclosed_quote(key: Key) -> None:
    write(Path(".env"), key.dotenv().replace(key.secret, f'"{key.secret}'))
    with pytest.raises(BackendError) as refused:
        load()
    assert refused.value.problems[0].found_in == (".env, line 3",)


def test_is_a_warning_where_the_key_is_whole_without_it(key: Key) -> None:
    found = record(key.dotenv() + "\nsome thing else\n")

    assert revealed(found) == key
    assert [(p.code, p.severity) for p in found.problems] == [("ST304", "warning")]
    assert found.problems[0].found_in == (".env, line 5",)


def test_is_a_fault_beside_half_a_pair(key: Key) -> None:
    write(Path(".env"), f"TWILIO_API_KEY={key.sid}\nTWILIO_API_SECRET {key.secret}\n")
    with pytest.raises(BackendError):
        load()


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX")
@pytest.mark.parametrize("whole", [True, False])
def test_readable_by_others(key: Key, whole: bool) -> None:  # noqa: FBT001
    write(Path(".env"), key.dotenv() if whole else "OTHER=1\n", mode=0o640)
    answer = load()
    problems = answer.record.problems if isinstance(answer, Found) else answer.problems

    assert [p.code for p in problems] == ["ST306"]


def test_utf16(key: Key) -> None:
    write(Path(".env"), key.dotenv().encode("utf-16"))
    with pytest.raises(BackendError) as refused:
        load()
    assert refused.value.code == "ST308"


def test_switches_have_no_effect_in_a_file(key: Key) -> None:
    write(Path(".env"), f"SAFETWILIO_ENV=production\n{key.dotenv()}")
    answer = DotenvBackend(parse("dotenv", place="test")[0]).load(None)
    assert isinstance(answer, Found)
    (warning,) = answer.record.problems

    assert (warning.code, warning.found_in) == ("ST223", (".env, line 1, SAFETWILIO_ENV",))


BOMB = "A0=xxxxxxxxxxxxxxxx\n" + "".join(f"A{n + 1}={f'${{A{n}}}' * 9}\n" for n in range(9))


@pytest.mark.timeout(60)
@pytest.mark.parametrize("before", ["", "\n\n"])
def test_value_that_grows_without_end_is_refused(key: Key, before: str) -> None:
    text = before + BOMB + key._replace(secret="${A9}").dotenv()
    write(Path(".env"), text)
    assert len(text) < 700
    with pytest.raises(BackendError) as refused:
        load()
    (problem,) = refused.value.problems
    assert (problem.code, problem.severity) == ("ST304", "fault")
    assert problem.found_in == (f".env, line {before.count(chr(10)) + 5}",)


@pytest.mark.timeout(60)
def test_what_others_grow_to_does_not_matter(key: Key) -> None:
    text = BOMB + f"BASE={key.secret}\n" + key._replace(secret="${BASE}").dotenv()

    assert revealed(record(text)) == key


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "text",
    [
        "TWILIO_API_SECRET=" + "${" * 100_000 + "\n",
        "A=" + "x" * 5_000 + "\n" + "".join(f"A=${{A}}{n}\n" for n in range(10_000))
        + "TWILIO_API_SECRET=${A}\n",
    ],
    ids=["one-value", "all-together"],
)  # fmt: skip
def test_what_is_filled_in_is_bounded(text: str) -> None:
    write(Path(".env"), text)
    with pytest.raises(BackendError, match="ST304"):
        load()


@pytest.mark.parametrize(
    "text",
    [
        "TWILIO_API_SECRET=${SET}",
        "SET=file\nTWILIO_API_SECRET=a${SET}b${SET}",
        "SET=one\nTWILIO_API_SECRET=${SET}\nSET=two",
        "SET=one\nSET=${SET}two\nTWILIO_API_SECRET=${SET}",
        "SET\nTWILIO_API_SECRET=x${SET:-default}",
        "TWILIO_API_SECRET=${UNSET:-default}${UNSET}${UNSET:-}",
        "TWILIO_API_SECRET=${SET:-default}",
        "A=${B}\nB=1\nTWILIO_API_SECRET=x${A}",
        "TWILIO_API_SECRET=1\nTWILIO_API_SECRET=${TWILIO_API_SECRET}2",
        "TWILIO_API_SECRET=${UNCLOSED $SET {SET}",
        "A=${SET}\nB='${A}'\nTWILIO_API_SECRET=\"${B} ${C:-${A}}\"",
        "TWILIO_API_SECRET=${}x${:-y}",
    ],
)
def test_filled_in_as_python_dotenv_does(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SET", "environment")
    monkeypatch.delenv("UNSET", raising=False)
    write(Path(".env"), text)
    answer = load()
    assert isinstance(answer, Found)

    assert answer.record.fields["secret"].reveal() == dotenv_values(".env")["TWILIO_API_SECRET"]


def test_a_name_with_two_values_is_refused(tmp_path: Path, key: Key) -> None:
    """The last one would win, and the good one be lost without a word."""
    other = key_secret()
    text = f"{key.dotenv()}TWILIO_API_SECRET={other}\n"
    answer = DotenvBackend(parse(f"dotenv:{write(tmp_path / '.env', text)}", place="x")[0]).load(
        None
    )
    assert isinstance(answer, Found)
    (problem,) = answer.record.problems
    assert problem.code == "ST211"
    assert [place.rpartition(", line ")[2] for place in problem.found_in] == [
        "3, TWILIO_API_SECRET",
        "4, TWILIO_API_SECRET",
    ]
    assert leaks(repr(problem), [key.secret, other]) == []
