"""npm's ``age-encryption``, which shares no code with pyrage, and sealed files: both ways."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr

from safetwilio.runbook.sealing import seal, unseal
from support import new_key

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.timeout(300)
# The identity comes in on standard input, as a secret should.
DECRYPT = """\
import * as age from "age-encryption";
import fs from "node:fs";
const opener = new age.Decrypter();
opener.addIdentity(fs.readFileSync(0, "utf8"));
process.stdout.write(await opener.decrypt(fs.readFileSync(process.argv[2]), "text"));
"""
ENCRYPT = """\
import * as age from "age-encryption";
import fs from "node:fs";
const identity = await age.generateX25519Identity();
const sealer = new age.Encrypter();
sealer.addRecipient(await age.identityToRecipient(identity));
fs.writeFileSync(process.argv[2], await sealer.encrypt(fs.readFileSync(0)));
process.stdout.write(identity);
"""


@pytest.fixture(scope="module")
def npm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Yield a directory with the package; npm is there, or the test fails."""
    folder = tmp_path_factory.mktemp("npm")
    program = shutil.which("npm")
    assert program is not None, ".ci/run installs npm"
    subprocess.run(
        [program, "install", "--no-audit", "--no-fund", "--prefix", str(folder), "age-encryption"],
        check=True,
        capture_output=True,
        stdin=subprocess.DEVNULL,
    )
    yield folder
    shutil.rmtree(folder)


def run(npm: Path, program: str, file: Path, given: str) -> str:
    (npm / "program.mjs").write_text(program)
    done = subprocess.run(
        ["node", "program.mjs", str(file)],
        cwd=npm,
        input=given,
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout


def test_npm_opens_what_we_seal(npm: Path, tmp_path: Path) -> None:
    key = new_key()
    done = seal({"secret": SecretStr(key.secret)}, tmp_path / "run.age", recipient=None)
    assert done.identity is not None
    plain = run(npm, DECRYPT, done.path, done.identity.get_secret_value())
    assert json.loads(plain) == {"safetwilio_sealed": 1, "fields": {"secret": key.secret}}


def test_we_open_what_npm_seals(npm: Path, tmp_path: Path) -> None:
    key = new_key()
    plain = json.dumps({"safetwilio_sealed": 1, "fields": {"secret": key.secret}})
    identity = SecretStr(run(npm, ENCRYPT, tmp_path / "run.age", plain))
    assert unseal(tmp_path / "run.age", identity)["secret"].get_secret_value() == key.secret
