"""Make the vectors of ``dotenv-vault:`` with npm's own tool.

::

    npm install --prefix /somewhere @dotenvx/dotenvx-ext-vault
    python tests/backends/vectors/make_dotenv_vault.py /somewhere

It writes dotenv_vault.vault, the ``.env.vault``, and dotenv_vault.keys, its ``.env.keys``. The keys
are given to the tool and not made by it: nobody can take them for real ones.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
VAULT = HERE / "dotenv_vault.vault"
KEYS = HERE / "dotenv_vault.keys"
TOOL = "node_modules/.bin/dotenvx-ext-vault"
ACCOUNT = "AC5afe0000000000000000000000000000"
KEY = "SK5afe0000000000000000000000000000"
SECRET = "fake" * 8
OTHER = "FAKE" * 8
ENVIRONMENTS = {
    "production": (
        f"TWILIO_ACCOUNT_SID={ACCOUNT}\nTWILIO_API_KEY={KEY}\nTWILIO_API_SECRET={SECRET}\n"
    ),
    "staging": (
        "\ufeff# für die Probe\r\n\r\n"
        f"export TWILIO_ACCOUNT_SID='{ACCOUNT}'\r\n"
        f'TWILIO_API_KEY = "{KEY}" # the key\r\n'
        f"TWILIO_API_SECRET={SECRET}\r\nTWILIO_API_SECRET={OTHER}\r\n"
        'GREETING="several\r\nlines"\r\n'
    ),
    "empty": "DATABASE_URL=postgres://\n",
}


def key_of(environment: str, digits: str) -> str:
    """Return a DOTENV_KEY; *digits* are repeated to the length of one."""
    whole = (digits * 64)[:64]
    return f"dotenv://:key_{whole}@dotenvx.com/vault/.env.vault?environment={environment}"


def given_keys() -> dict[str, str]:
    """Return the key of each environment."""
    digits = dict(zip(ENVIRONMENTS, ("5afe", "fa4e", "0bad"), strict=True))
    return {environment: key_of(environment, each) for environment, each in digits.items()}


def encrypt(folder: Path, prefix: Path) -> tuple[str, str]:
    """Let the tool in *prefix* encrypt in *folder*, and return ``.env.vault`` and ``.env.keys``."""
    for environment, text in ENVIRONMENTS.items():
        (folder / f".env.{environment}").write_bytes(text.encode())
    lines = (f'DOTENV_KEY_{name.upper()}="{key}"\n' for name, key in given_keys().items())
    (folder / ".env.keys").write_text("".join(lines), encoding="utf-8")
    subprocess.run([prefix / TOOL, "encrypt"], cwd=folder, check=True, capture_output=True)
    vault = (folder / ".env.vault").read_text(encoding="utf-8")
    return vault, (folder / ".env.keys").read_text(encoding="utf-8")


def keys_in(text: str) -> dict[str, str]:
    """Return the key of each environment in a ``.env.keys``."""
    found = re.findall(r'^DOTENV_KEY_([A-Z]+)="(.+)"$', text, re.MULTILINE)
    return {name.lower(): key for name, key in found}


def main(prefix: str) -> int:
    """Write the vectors."""
    with tempfile.TemporaryDirectory() as name:
        vault, keys = encrypt(Path(name), Path(prefix).resolve())
    VAULT.write_text(vault, encoding="utf-8")
    KEYS.write_text(keys, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
