"""``safetwilio emulator``: what it serves, says and writes, and how it ends."""

from __future__ import annotations

import base64
import http.client
import json
import os
import signal
import stat
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from newcomer import COMMAND, DEADLINE, Run

from safetwilio.cli import emulator as command
from safetwilio.cli.main import main
from safetwilio.shapes import EMULATOR_MARK
from safetwilio.testing import EmulatorServer
from support import clean_environment, key_secret, leaks, run_python

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LISTING = "/2010-04-01/Accounts/{}/Messages.json"
SEND = "from safetwilio import client; print(client.messages.create(to='+15551230001', "


@contextmanager
def emulator(directory: Path, *arguments: str) -> Iterator[tuple[Run, dict[str, Any]]]:
    """Run the command in *directory*, and give its process and its line of JSON."""
    command = [*COMMAND, "emulator", "--json", "--credentials", "emulator.json", *arguments]
    with Run(
        command, cwd=directory, env=clean_environment(), text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
    ) as process:  # fmt: skip
        assert process.stdout
        line = process.stdout.readline()
        assert line, process.communicate(timeout=DEADLINE)
        yield process, json.loads(line)


def ask(url: str, method: str, path: str, body: object = None, **headers: str) -> tuple[int, Any]:
    connection = http.client.HTTPConnection(url.partition("://")[2], timeout=DEADLINE)
    content = None if body is None else json.dumps(body)
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, path, content, headers)
    with connection.getresponse() as response:
        document = json.loads(response.read())
    connection.close()
    return response.status, document


def basic(pair: tuple[str, ...]) -> dict[str, str]:
    return {"authorization": "Basic " + base64.b64encode(":".join(pair).encode()).decode()}


def control(url: str, method: str, what: str, body: object = None) -> Any:
    status, document = ask(
        url, method, f"/_emulator/{what}", body, Safetwilio_Emulator="control"
    )  # fmt: skip
    assert status == 200, document
    return document


def credentials(directory: Path) -> dict[str, Any]:
    return json.loads((directory / "emulator.json").read_text("utf-8"))


def environment(hidden: dict[str, Any]) -> dict[str, str]:
    return {
        "SAFETWILIO_EMULATOR": hidden["url"],
        "TWILIO_ACCOUNT_SID": hidden["account_sid"],
        "TWILIO_API_KEY": hidden["standard_key"]["sid"],
        "TWILIO_API_SECRET": hidden["standard_key"]["secret"],
    }


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_until_interrupted_and_says_no_secret(
    tmp_path: Path, number: signal.Signals
) -> None:
    path = tmp_path / "emulator.json"
    path.write_text("old")
    with emulator(tmp_path) as (process, shown):
        hidden = credentials(tmp_path)
        done = run_python(
            "-c", SEND + "from_='+15005550006', body='hi').sid)",
            cwd=tmp_path, environment=environment(hidden),
        )  # fmt: skip
        outbox = control(shown["url"], "GET", "outbox")["messages"]
        process.send_signal(number)
        out, said = process.communicate(timeout=DEADLINE)

    assert (done.returncode, done.stderr) == (0, "")
    assert [message["sid"] for message in outbox] == [done.stdout.strip()]
    assert process.returncode == 0
    assert out == ""
    assert shown == {
        "url": hidden["url"],
        "account_sid": hidden["account_sid"],
        "standard_key_sid": hidden["standard_key"]["sid"],
        "main_key_sid": hidden["main_key"]["sid"],
    }
    assert EMULATOR_MARK in hidden["account_sid"]
    secrets = [hidden["auth_token"], hidden["standard_key"]["secret"], hidden["main_key"]["secret"]]
    assert leaks(json.dumps(shown) + said, secrets) == []
    for hint in (f"SAFETWILIO_EMULATOR={shown['url']},", "in emulator.json", "/_emulator/outbox"):
        assert hint in said
    if os.name == "posix":
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_without_credentials_and_json_it_only_talks_to_people(tmp_path: Path) -> None:
    with Run(
        [*COMMAND, "emulator"], cwd=tmp_path, env=clean_environment(), text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
    ) as process:  # fmt: skip
        assert process.stderr
        said = process.stderr.readline() + process.stderr.readline()
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=DEADLINE)
    assert (process.returncode, out) == (0, "")
    assert "http://127.0.0.1:" in said
    assert "--credentials PATH writes them" in said
    assert list(tmp_path.iterdir()) == []


def test_assumptions_and_faults_are_taken(tmp_path: Path) -> None:
    script = tmp_path / "faults.toml"
    script.write_text('[[faults]]\nkind = "status"\ncode = 503\nmatch = "GET */Nowhere.json"\n')
    arguments = ("--faults", str(script), "--assume", "unknown_path_status=404")
    with emulator(tmp_path, *arguments) as (_, shown):
        url = shown["url"]
        assert [ask(url, "GET", "/Nowhere.json")[0] for _ in range(2)] == [503, 404]
        control(url, "POST", "reset")
        assert [ask(url, "GET", "/Nowhere.json")[0] for _ in range(2)] == [503, 404]


def test_a_seed_gives_a_history(tmp_path: Path) -> None:
    """The same number, the same history; it comes back with a reset."""
    listed = []
    for number in ("7", "7", "8"):
        with emulator(tmp_path, "--seed", number) as (_, shown):
            hidden = credentials(tmp_path)
            authorization = basic(tuple(hidden["standard_key"].values()))["authorization"]
            path = LISTING.format(shown["account_sid"])
            for _ in range(2):
                status, page = ask(shown["url"], "GET", path, authorization=authorization)
                assert status == 200
                listed.append([message["body"] for message in page["messages"]])
                control(shown["url"], "POST", "reset")
    assert len(listed[0]) == 50
    assert listed[0] == listed[1] == listed[2] == listed[3] != listed[4]
    assert listed[4] == listed[5]


def test_it_remembers_the_last_ten_thousand(monkeypatch: pytest.MonkeyPatch) -> None:
    served = []

    def start(server: EmulatorServer, _: object) -> None:
        served.append(server.emulator)
        signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(command, "_start", start)
    assert main(["emulator"]) == 0
    assert served[0]._journal.maxlen == served[0]._world.sent.maxlen == 10_000


def test_ports_that_cannot_be_served(capsys: pytest.CaptureFixture[str]) -> None:
    with EmulatorServer() as taken:
        assert main(["emulator", "--port", str(taken.port)]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("[ST923] The emulator does not run: port ")
    for port in ("-1", "65536"):
        assert main(["emulator", f"--port={port}"]) == 2
        assert "[ST920] --port is a number from 0 to 65535." in capsys.readouterr().err


def test_credentials_that_cannot_be_written_end_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["emulator", "--credentials", str(tmp_path / "no" / "x")]) == 1
    said = " ".join(capsys.readouterr().err.split())
    assert said.startswith("[ST923] The emulator does not run: ")
    assert "cannot be written: No such file" in said


@pytest.mark.parametrize("words", [["--host", "0.0.0.0"], ["--host=::"], ["--bind", "1.1.1.1"]])  # noqa: S104
def test_no_option_lets_others_in(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["emulator", *words])
    assert ended.value.code == 2
    assert "unknown option" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--assume", "suspended_status=500"], "[ST920] --assume: suspended_status is one of"),
        (["--assume", "suspended_status"], "[ST920] --assume: suspended_status is one of"),
        (["--assume", "{}=1"], "[ST920] --assume: no assumption has that name; there are"),
        (["--assume", "suspended_status={}"], "[ST920] --assume: suspended_status is one of"),
        (["--faults", "{}.toml"], "[ST921] "),
    ],
)  # fmt: skip
def test_wrong_usage_is_2_and_says_what_is_right(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    secret = key_secret()
    assert main(["emulator", *(word.format(secret) for word in words)]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith(said)
    assert "--faults" in words or secret not in shown.err


def test_a_bad_fault_script_is_named_with_its_place(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    script = tmp_path / "faults.json"
    script.write_text('{"faults": [{"kind": "drop"}]}')
    assert main(["emulator", "--faults", str(script)]) == 2
    said = "".join(capsys.readouterr().err.split())
    assert said == f"[ST921]{script}:fault1:dropneedsapplied,trueorfalse."


def test_the_handlers_of_signals_are_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    monkeypatch.setattr(command, "_start", lambda *_: signal.raise_signal(signal.SIGINT))
    assert main(["emulator"]) == 0
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before
