"""npm's own tools and ``dotenv-vault:`` open the same files, with the same keys."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from safetwilio.backends.interface import Found
from safetwilio.backends.locate import open_backend, parse
from support import new_key

if TYPE_CHECKING:
    from collections.abc import Iterator

sys.path.append(str(Path(__file__).resolve().parents[1] / "backends" / "vectors"))

import make_dotenv_vault as vectors

pytestmark = pytest.mark.timeout(300)
# dotenv 16 is the last one that opens a .env.vault by itself.
PACKAGES = ("@dotenvx/dotenvx-ext-vault", "dotenv@16")
READ = "process.stdout.write(JSON.stringify(require('dotenv').config({path: '.env'}).parsed))"


@pytest.fixture(scope="module")
def npm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Yield a directory with the packages; npm is there, or the test fails."""
    folder = tmp_path_factory.mktemp("npm")
    program = shutil.which("npm")
    assert program is not None, ".ci/run installs npm"
    subprocess.run(
        [program, "install", "--no-audit", "--no-fund", "--prefix", str(folder), *PACKAGES],
        check=True,
        capture_output=True,
        stdin=subprocess.DEVNULL,
    )
    yield folder
    shutil.rmtree(folder)


def fields(path: Path) -> dict[str, str]:
    """Return what ``dotenv-vault:`` reads from *path*."""
    (reference,) = parse(f"dotenv-vault:{path}", place="the test")
    answer = open_backend(reference).load(None)
    assert isinstance(answer, Found)
    return {name: value.reveal() for name, value in answer.record.fields.items()}


def read_by_npm(npm: Path, folder: Path, key: str) -> dict[str, str]:
    """Return what npm's dotenv reads from the ``.env.vault`` in *folder*."""
    done = subprocess.run(
        ["node", "-e", READ],
        cwd=folder,
        env={**os.environ, "NODE_PATH": str(npm / "node_modules"), "DOTENV_KEY": key},
        check=True,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )
    found = json.loads(done.stdout[done.stdout.index("{") :])
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize("environment", ["production", "staging"])
def test_what_the_tool_makes_today_is_read_as_its_library_reads_it(
    npm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, environment: str
) -> None:
    """Made anew, with the texts and keys of the vectors."""
    vault, keys = vectors.encrypt(tmp_path, npm)
    assert vectors.keys_in(keys) == vectors.given_keys()
    assert vault != vectors.VAULT.read_text(encoding="utf-8"), "every nonce is a new one"
    key = vectors.keys_in(keys)[environment]
    monkeypatch.setenv("DOTENV_KEY", key)
    ours = fields(tmp_path / ".env.vault")
    theirs = read_by_npm(npm, tmp_path, key)
    assert ours == {
        "account_sid": theirs["TWILIO_ACCOUNT_SID"],
        "key_sid": theirs["TWILIO_API_KEY"],
        "secret": theirs["TWILIO_API_SECRET"],
    }


def test_a_key_that_the_tool_makes_itself(
    npm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = new_key()
    (tmp_path / ".env.production.local").write_text(key.dotenv())
    subprocess.run([npm / vectors.TOOL, "encrypt"], cwd=tmp_path, check=True, capture_output=True)
    made = (tmp_path / ".env.keys").read_text().partition('PRODUCTION_LOCAL="')[2].partition('"')[0]
    monkeypatch.setenv("DOTENV_KEY", made)
    found = fields(tmp_path / ".env.vault")
    assert tuple(found[name] for name in ("account_sid", "key_sid", "secret")) == key


@pytest.mark.parametrize("environment", ["production", "staging"])
def test_the_committed_vectors_are_still_opened_by_npms_library(
    npm: Path, tmp_path: Path, environment: str
) -> None:
    shutil.copy(vectors.VAULT, tmp_path / ".env.vault")
    found = read_by_npm(npm, tmp_path, vectors.given_keys()[environment])
    assert found["TWILIO_API_KEY"] == vectors.KEY


def test_several_keys_are_tried_as_npms_library_tries_them(
    npm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(vectors.VAULT, tmp_path / ".env.vault")
    keys = vectors.given_keys()
    wrong = vectors.key_of("production", "0123")
    for chain in (
        [wrong, keys["staging"]],
        ["no key", keys["production"], keys["staging"]],
        [vectors.key_of("nowhere", "5afe"), keys["production"]],
        [keys["staging"], keys["production"]],
    ):
        text = ", ".join(chain)
        monkeypatch.setenv("DOTENV_KEY", text)
        theirs = read_by_npm(npm, tmp_path, text)
        assert fields(tmp_path / ".env.vault")["secret"] == theirs["TWILIO_API_SECRET"]
