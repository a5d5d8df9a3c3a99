"""The doctor: the boot report without the boot, and what boot does not look at."""

from __future__ import annotations

import contextlib
import io
import json
import re
import secrets
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fake_git import FakeGit
from safetwilio import doctor, redaction
from safetwilio.cli.main import main
from safetwilio.redaction import registry as registry_module
from safetwilio.redaction.sinks import stdlib_logging
from safetwilio.settings import TwilioSettings
from safetwilio.testing import Emulator, EmulatorServer
from support import Key, auth_token, key_secret, leaks, new_key, refused, run_python, write

if TYPE_CHECKING:
    from collections.abc import Iterator

REPORT = {
    "ok", "account", "key", "source", "version", "kind", "verified", "emulator", "sinks",
    "problems",
}  # fmt: skip
_CHECK = "\nCheck without starting the app: safetwilio doctor"
PROBLEM = {"code", "severity", "summary", "found_in", "looked_in", "fix", "url"}


@pytest.fixture(autouse=True)
def _no_redaction_left() -> Iterator[None]:
    yield
    redaction.uninstall()
    for value in tuple(registry_module.registry._known):
        redaction.retire(value)


@pytest.fixture
def emulator(monkeypatch: pytest.MonkeyPatch) -> Iterator[Emulator]:
    with EmulatorServer() as server:
        account, key = server.emulator.account, server.emulator.standard_key
        monkeypatch.setenv("SAFETWILIO_EMULATOR", server.url)
        for name, value in Key(account.sid, key.sid, key.secret).environment().items():
            monkeypatch.setenv(name, value)
        yield server.emulator


@pytest.fixture
def git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeGit:
    git = FakeGit(tmp_path / "bin")
    monkeypatch.setenv("PATH", git.path)
    return git


def told(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    code = main(["doctor", *words])
    said = capsys.readouterr()
    assert said.out == ""
    return code, said.err


def answered(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, dict[str, object]]:
    code = main(["doctor", "--json", *words])
    said = capsys.readouterr()
    assert said.err == ""
    return code, json.loads(said.out)


def test_a_sound_configuration(configured: Key, capsys: pytest.CaptureFixture[str]) -> None:
    code, text = told(capsys)
    assert code == 0
    assert text.endswith("\nsafetwilio found no problem with the Twilio configuration.\n")
    assert "source     env\n" in text
    assert re.search(r"^redaction  logging, .*: active \(self-test passed\)$", text, re.MULTILINE)
    assert text.count("redaction  ") <= 3, "a line for each state, not for each sink"
    assert leaks(text, configured) == []


def test_the_json_has_a_stable_form(
    configured: Key, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, sound = answered(capsys)
    assert (code, sound["ok"], sound["problems"]) == (0, True, [])
    assert sound.keys() == REPORT
    assert sound["verified"] is None
    assert len(sound["sinks"]) == len(redaction.health())
    assert all(sink.keys() == {"name", "state", "detail"} for sink in sound["sinks"])
    assert leaks(json.dumps(sound), configured) == []
    monkeypatch.delenv("TWILIO_API_SECRET")
    code, broken = answered(capsys)
    assert (code, broken["ok"]) == (1, False)
    assert broken.keys() == REPORT
    assert [broken[name] for name in ("account", "key", "source", "version", "kind")] == [None] * 5
    assert [problem.keys() for problem in broken["problems"]] == [PROBLEM]
    for attempt in broken["problems"][0]["looked_in"]:
        assert attempt.keys() == {"place", "name", "outcome"}


def _broken(key: Key) -> dict[str, dict[str, str]]:
    whole = key.environment()
    return {
        "nothing": {},
        "no secret": {**whole, "TWILIO_API_SECRET": ""},
        "only the token": {"TWILIO_ACCOUNT_SID": key.account, "TWILIO_AUTH_TOKEN": auth_token()},
        "token as the secret": {**whole, "TWILIO_API_SECRET": auth_token()},
        "swapped": {**whole, "TWILIO_API_KEY": key.account, "TWILIO_ACCOUNT_SID": key.sid},
        "placeholders": {**whole, "TWILIO_API_SECRET": "your_api_secret_here"},
        "contradiction": {**whole, "TWILIO_API_KEY_SECRET": key_secret()},
        "quoted": {**whole, "TWILIO_API_SECRET": f'"{key.secret}"'},
        "ciphertext": {**whole, "TWILIO_API_SECRET": f"encrypted:{key.secret}"},
        "missing file": {**whole, "TWILIO_API_SECRET_FILE": "/nonexistent/secret"},
        "unknown backend": {**whole, "SAFETWILIO_BACKEND": "nonesuch:x"},
        "unreadable reference": {**whole, "SAFETWILIO_BACKEND": "://"},
        "emulator elsewhere": {**whole, "SAFETWILIO_EMULATOR": "http://example.org:80"},
        "region": {**whole, "TWILIO_REGION": "evil.example/"},
    }


@pytest.mark.parametrize("name", _broken(new_key()))
def test_a_broken_configuration_reads_as_at_boot(
    name: str, key: Key, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    environment = _broken(key)[name]
    for variable, value in environment.items():
        monkeypatch.setenv(variable, value)
    code, text = told(capsys)
    assert code == 1
    at_boot = str(refused(TwilioSettings)).removesuffix(_CHECK)
    assert text.endswith(f"\n\n{at_boot}\n")
    hidden = [v for k, v in environment.items() if "SECRET" in k or "TOKEN" in k]
    assert leaks(text, [v for v in hidden if v.isalnum()]) == []


def test_a_real_boot_says_the_same_as_the_doctor(tmp_path: Path, key: Key) -> None:
    environment = {**key.environment(), "TWILIO_API_SECRET": ""}
    boot = run_python("-c", "from safetwilio import client", cwd=tmp_path, environment=environment)
    doctor_ = run_python(
        "-m", "safetwilio.cli.main", "doctor", cwd=tmp_path, environment=environment
    )
    assert (boot.returncode, doctor_.returncode) == (1, 1)
    report = doctor_.stderr[doctor_.stderr.index("safetwilio cannot start") :]
    assert f"{report.strip()}{_CHECK}" in boot.stderr


def test_the_file_of_the_current_directory_is_the_place(
    key: Key, capsys: pytest.CaptureFixture[str]
) -> None:
    write(Path(".env"), key.dotenv())
    code, report = answered(capsys)
    assert (code, report["source"]) == (0, "dotenv:.env")
    assert report["version"]
    _, text = told(capsys)
    assert f"source     dotenv:.env, version {report['version']}" in text


def test_a_warning_is_no_failure(key: Key, capsys: pytest.CaptureFixture[str]) -> None:
    write(Path(".env"), key.dotenv(), mode=0o644)
    code, report = answered(capsys)
    assert (code, report["ok"]) == (0, True)
    assert [(p["code"], p["severity"]) for p in report["problems"]] == [("ST306", "warning")]


def test_a_named_account_is_looked_at_alone(
    configured: Key, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert told(capsys, "--account", "marketing")[0] == 1
    other = new_key()
    for name, value in other.environment("marketing").items():
        monkeypatch.setenv(name, value)
    code, report = answered(capsys, "--account", "Marketing")
    assert code == 0
    assert report["key"] == f"[TWILIO:key:{redaction.fingerprint(other.sid)}]"
    assert report["key"] != f"[TWILIO:key:{redaction.fingerprint(configured.sid)}]"


@pytest.mark.usefixtures("configured")
def test_a_tracked_file_fails_also_if_the_key_is_elsewhere(
    git: FakeGit, capsys: pytest.CaptureFixture[str]
) -> None:
    here = Path.cwd()
    git.init(here, here / ".env")
    assert told(capsys)[0] == 0  # it is gone from the directory
    write(Path(".env"), "A=1\n")
    code, report = answered(capsys)
    assert (code, report["ok"]) == (1, False)
    (problem,) = report["problems"]
    assert (problem["code"], problem["found_in"]) == ("ST309", [".env"])
    assert "git rm --cached .env" in problem["fix"]
    assert "safetwilio can start, but should not as it is: 1 problem" in told(capsys)[1]


@pytest.mark.usefixtures("configured")
def test_every_file_of_the_chain_is_asked_about_once(
    git: FakeGit, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    here = Path.cwd()
    git.init(here, here / "a.env", here / "b.env")
    write(Path("a.env"), "A=1\n")
    write(Path("b.env"), "A=1\n")
    monkeypatch.setenv("SAFETWILIO_BACKEND", "env,dotenv:a.env,dotenv:b.env,dotenv:a.env")
    _, report = answered(capsys)
    assert [p["found_in"] for p in report["problems"]] == [["a.env"], ["b.env"]]


def test_without_an_answer_from_git_it_is_a_warning(
    git: FakeGit, key: Key, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    git.init(Path.cwd(), broken=True)
    write(Path(".env"), key.dotenv())
    for path in (git.path, ""):
        monkeypatch.setenv("PATH", path)
        code, report = answered(capsys)
        assert (code, report["ok"]) == (0, True)
        assert [(p["code"], p["severity"]) for p in report["problems"]] == [("ST309", "warning")]


def test_outside_git_and_without_git_there_is_nothing_to_say(
    git: FakeGit, key: Key, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write(Path(".env"), key.dotenv())
    for path in (git.path, ""):
        monkeypatch.setenv("PATH", path)
        code, report = answered(capsys)
        assert (code, report["problems"]) == (0, [])


def test_a_living_key_is_verified(emulator: Emulator, capsys: pytest.CaptureFixture[str]) -> None:
    code, report = answered(capsys, "--verify")
    assert (code, report["verified"], report["kind"]) == (0, True, "standard")
    _, text = told(capsys, "--verify")
    assert ", kind standard, accepted by Twilio\n" in text
    assert leaks(text, [emulator.standard_key.secret]) == []


def test_a_main_key_is_named(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TWILIO_API_KEY", emulator.main_key.sid)
    monkeypatch.setenv("TWILIO_API_SECRET", emulator.main_key.secret)
    assert answered(capsys, "--verify")[1]["kind"] == "main"


def test_a_dead_key_fails(emulator: Emulator, capsys: pytest.CaptureFixture[str]) -> None:
    emulator.account.delete_key(emulator.standard_key.sid)
    code, report = answered(capsys, "--verify")
    assert (code, report["ok"], report["verified"]) == (1, False, False)
    assert [p["code"] for p in report["problems"]] == ["ST320"]
    assert answered(capsys)[0] == 0  # unasked, it is only what it looks like


@pytest.mark.usefixtures("emulator")
def test_no_answer_is_no_proof(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with EmulatorServer() as gone:
        monkeypatch.setenv("SAFETWILIO_EMULATOR", gone.url)
    code, report = answered(capsys, "--verify")
    assert (code, report["verified"]) == (1, False)
    assert [p["code"] for p in report["problems"]] == ["ST321"]
    assert "api.twilio.com" not in str(report)
    assert report["emulator"] == gone.url


def test_what_cannot_start_is_not_verified(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("TWILIO_ACCOUNT_SID")
    code, report = answered(capsys, "--verify")
    assert (code, report["verified"]) == (1, False)
    assert not emulator.requests


@pytest.mark.usefixtures("configured")
@pytest.mark.parametrize("fallback_works", [True, False])
def test_a_sink_that_fails_its_self_test_is_a_fault(
    fallback_works: bool,  # noqa: FBT001
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail() -> None:
        raise RuntimeError

    monkeypatch.setattr(stdlib_logging, "check", lambda: False)
    if not fallback_works:
        monkeypatch.setattr(stdlib_logging, "fall_back", fail)
    code, report = answered(capsys)
    assert (code, report["ok"]) == (1, False)
    assert [p["code"] for p in report["problems"]] == ["ST701"]
    states = {sink["name"]: sink["state"] for sink in report["sinks"]}
    assert states["logging"] == ("fallback" if fallback_works else "failed")


@pytest.mark.usefixtures("configured")
def test_redaction_that_is_switched_off_is_shown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SAFETWILIO_REDACT", "off")
    code, text = told(capsys)
    assert code == 0
    assert ": off (switched off by SAFETWILIO_REDACT=off)" in text


_SECRETISH = st.one_of(
    st.builds(lambda _: auth_token(), st.none()),
    st.builds(lambda _: key_secret(), st.none()),
    st.builds(lambda _: key_secret(40) + "!", st.none()),
    st.builds(lambda _: f'"{key_secret()}"', st.none()),
    st.builds(lambda _: f"encrypted:{key_secret()}", st.none()),
    st.builds(lambda _: f" {secrets.token_urlsafe(24)}\n", st.none()),
)
_SECRET_NAMES = (
    "TWILIO_API_SECRET", "TWILIO_API_KEY_SECRET", "TWILIO_AUTH_TOKEN", "TWILIO_API_KEY",
    "TWILIO_ACCOUNT_SID", "TWILIO_REGION", "TWILIO_EDGE", "TWILIO_API_SECRET_FILE",
)  # fmt: skip


@settings(deadline=None)
@given(
    environment=st.dictionaries(st.sampled_from(_SECRET_NAMES[:-1]), _SECRETISH),
    dotenv=st.lists(st.tuples(st.sampled_from(_SECRET_NAMES[:-1]), _SECRETISH), max_size=4),
    key=st.sampled_from([(), ("TWILIO_API_KEY",), ("TWILIO_API_KEY", "TWILIO_ACCOUNT_SID")]),
    as_json=st.booleans(),
)
def test_no_value_is_ever_shown(
    environment: dict[str, str],
    dotenv: list[tuple[str, str]],
    key: tuple[str, ...],
    as_json: bool,  # noqa: FBT001
) -> None:
    sound = new_key().environment()
    stdout, stderr = io.StringIO(), io.StringIO()
    write(Path(".env"), "".join(f"{name}={value}\n" for name, value in dotenv))
    with (
        pytest.MonkeyPatch.context() as patch,
        contextlib.redirect_stdout(stdout),
        contextlib.redirect_stderr(stderr),
    ):
        patch.setenv("PATH", "")
        for name, value in {**environment, **{name: sound[name] for name in key}}.items():
            patch.setenv(name, value)
        main(["doctor", *(["--json"] if as_json else [])])
    secret = [*environment.values(), *(value for _, value in dotenv)]
    bare = [value.strip().strip('"!').removeprefix("encrypted:") for value in secret]
    assert leaks(stdout.getvalue() + stderr.getvalue(), bare) == []


def test_the_report_is_a_value_for_programs(configured: Key) -> None:
    report = doctor.examine()
    assert report.ok
    assert report.key == f"[TWILIO:key:{redaction.fingerprint(configured.sid)}]"
    assert json.loads(json.dumps(report.as_dict())) == report.as_dict()
    assert leaks(repr(report), configured) == []


@pytest.mark.usefixtures("configured")
def test_switches_that_do_not_do_what_they_seem_to(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("SAFETWILIO_REDACT", "SAFETWILIO_REDCAT", "SAFETWILIO_BACKEND_X"):
        monkeypatch.setenv(name, "off")
    code, report = answered(capsys)
    assert code == 0
    assert [p["code"] for p in report["problems"]] == ["ST704", "ST222"]
    assert report["problems"][1]["found_in"] == ["env SAFETWILIO_REDCAT"]
