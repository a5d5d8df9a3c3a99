"""Run a program with an encrypted ``.env`` in every kind of trouble, and write what it says.

::

    python tests/backends/dotenv_vault_reports.py

The reports go into docs/backends/dotenv-vault.md, below the line that names this file.
"""

from __future__ import annotations

import base64
import secrets
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

HERE = Path(__file__).resolve().parent
for _folder in (HERE, HERE.parent):
    if str(_folder) not in sys.path:  # where the test runner has put them, but nobody else
        sys.path.append(str(_folder))

from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: E402

from support import new_key, run_python  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterable

PAGE = HERE.parents[1] / "docs" / "backends" / "dotenv-vault.md"
MARK = "<!-- Below: written by tests/backends/dotenv_vault_reports.py -->\n"
BACKEND = "dotenv-vault:.env.vault"
PROGRAM = "from safetwilio import client"
_RAISED = "safetwilio.errors."


class Report(NamedTuple):
    """What one kind of trouble is called, how it was set up, and what the program said."""

    name: str
    words: str
    text: str
    values: tuple[str, ...]


def encrypt(text: str | bytes, digits: str) -> str:
    """Return what the tools write for *text*: base64 of nonce, ciphertext and tag."""
    data = text.encode() if isinstance(text, str) else text
    nonce = secrets.token_bytes(12)
    sealed = AESGCM(bytes.fromhex(digits)).encrypt(nonce, data, None)
    return base64.b64encode(nonce + sealed).decode()


def vault(**environments: str) -> str:
    """Return the text of a ``.env.vault``."""
    lines = (f'DOTENV_VAULT_{name.upper()}="{value}"\n' for name, value in environments.items())
    return "#/-------------------.env.vault---------------------/\n\n" + "".join(lines)


def uri(digits: str, environment: str = "production") -> str:
    """Return a DOTENV_KEY."""
    return f"dotenv://:key_{digits}@dotenvx.com/vault/.env.vault?environment={environment}"


def _run(name: str, words: str, file: str | None, dotenv_key: str, *values: str) -> Report:
    with tempfile.TemporaryDirectory() as folder:
        if file is not None:
            (Path(folder) / ".env.vault").write_text(file, encoding="utf-8")
        done = run_python(
            "-c",
            PROGRAM,
            cwd=Path(folder),
            environment={"SAFETWILIO_BACKEND": BACKEND, "DOTENV_KEY": dotenv_key},
        )
    lines = done.stderr.splitlines()
    starts = [number for number, line in enumerate(lines) if line.startswith(_RAISED)]
    text = "\n".join(line.rstrip() for line in lines[starts[-1] if starts else 0 :]).strip()
    return Report(name, words, text, values)


def all_reports() -> tuple[Report, ...]:
    """Return every report, made with credentials of the moment."""
    key, made, other = new_key(), secrets.token_hex(32), secrets.token_hex(32)
    values = (key.sid, key.secret, made, other)
    whole = encrypt(key.dotenv(), made)
    good = vault(production=whole)
    half = encrypt(f"TWILIO_ACCOUNT_SID={key.account}\nTWILIO_API_KEY={key.sid}\n", made)
    refers = encrypt(key.dotenv() + "TWILIO_API_SECRET=${SHARED_SECRET}\n", made)
    return (
        _run("No key", "`DOTENV_KEY` is not set.", good, "", *values),
        _run("No key in it", "`DOTENV_KEY` is only the digits.", good, made, *values),
        _run(
            "Another environment",
            "The key is for an environment that the file does not have.",
            good,
            uri(made, "staging"),
            *values,
        ),
        _run("The wrong key", "The key was changed since.", good, uri(other), *values),
        _run(
            "Several keys",
            "None of two opens it.",
            good,
            f"{uri(other)},{uri(made, 'ci')}",
            *values,
        ),
        _run(
            "Malformed",
            "A merge has cut the line off.",
            vault(production=whole[:41]),
            uri(made),
            *values,
        ),
        _run(
            "A value that refers to another",
            "The encrypted file has `TWILIO_API_SECRET=${SHARED_SECRET}`.",
            vault(production=refers),
            uri(made),
            *values,
        ),
        _run(
            "Half a pair",
            "The encrypted file has the key, but not its secret.",
            vault(production=half),
            uri(made),
            *values,
        ),
        _run("Missing", "There is no such file.", None, uri(made), *values),
    )


def section(reports: Iterable[Report]) -> str:
    """Return the part of the page that shows *reports*."""
    return "\n".join(
        f"### {report.name}\n\n{report.words}\n\n```console\n"
        f"$ SAFETWILIO_BACKEND={BACKEND} python -c '{PROGRAM}'\n{report.text}\n```\n"
        for report in reports
    )


def main() -> int:
    """Write the reports into the page."""
    head = PAGE.read_text(encoding="utf-8").partition(MARK)[0]
    PAGE.write_text(f"{head}{MARK}\n{section(all_reports())}", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
