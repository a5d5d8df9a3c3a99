"""Run a program with an encrypted ``.env`` in every kind of trouble, and write what it says.

::

    python tests/backends/dotenv_vault_reports.py

The reports go into docs/backends/dotenv-vault.md, below the line that names this file.
"""

from __future__ import annotations

import base64
import secrets
import tempfile
from pathlib import Path

import reports
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from support import new_key


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


class _Writer(reports.Writer):
    def run(self, name: str, words: str, file: str | None, dotenv_key: str) -> None:
        path = self.folder / ".env.vault"
        path.unlink(missing_ok=True)
        if file is not None:
            path.write_text(file, encoding="utf-8")
        self.start(name, words, "dotenv-vault:.env.vault", {"DOTENV_KEY": dotenv_key})


def all_reports() -> tuple[reports.Report, ...]:
    """Return every report, made with credentials of the moment."""
    with tempfile.TemporaryDirectory() as name:
        writer = _Writer(Path(name))
        _of_keys(writer)
        _of_contents(writer)
        return tuple(writer.reports)


def _of_keys(writer: _Writer) -> None:
    key, made, other = new_key(), secrets.token_hex(32), secrets.token_hex(32)
    writer.secrets += [key.sid, key.secret, made, other]
    good = vault(production=encrypt(key.dotenv(), made))
    writer.run("No key", "`DOTENV_KEY` is not set.", good, "")
    writer.run("No key in it", "`DOTENV_KEY` is only the digits.", good, made)
    writer.run(
        "Another environment",
        "The key is for an environment that the file does not have.",
        good,
        uri(made, "staging"),
    )
    writer.run("The wrong key", "The key was changed since.", good, uri(other))
    both = f"{uri(other)},{uri(made, 'ci')}"
    writer.run("Several keys", "None of two opens it.", good, both)


def _of_contents(writer: _Writer) -> None:
    key, made = new_key(), secrets.token_hex(32)
    writer.secrets += [key.sid, key.secret, made]
    whole = encrypt(key.dotenv(), made)
    half = encrypt(f"TWILIO_ACCOUNT_SID={key.account}\nTWILIO_API_KEY={key.sid}\n", made)
    refers = encrypt(key.dotenv() + "TWILIO_API_SECRET=${SHARED_SECRET}\n", made)
    cut = vault(production=whole[:41])
    writer.run("Malformed", "A merge has cut the line off.", cut, uri(made))
    writer.run(
        "A value that refers to another",
        "The encrypted file has `TWILIO_API_SECRET=${SHARED_SECRET}`.",
        vault(production=refers),
        uri(made),
    )
    writer.run(
        "Half a pair",
        "The encrypted file has the key, but not its secret.",
        vault(production=half),
        uri(made),
    )
    writer.run("Missing", "There is no such file.", None, uri(made))


PAGE = reports.Page(
    "dotenv-vault", all_reports, "SAFETWILIO_BACKEND={backend} python -c '{program}'"
)

if __name__ == "__main__":
    PAGE.write()
