"""Run a program against a real OpenBao in every kind of trouble, and write what it says.

::

    python tests/backends/vault_reports.py

The reports go into docs/backends/vault.md, below the line that names this file.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import ClassVar

import reports
from vault_server import (
    PATH,
    REFERENCE,
    Bao,
    Loopback,
    as_document,
    black_hole,
    clean_environment,
)

from support import new_key


class _Writer(reports.Writer):
    shown: ClassVar = {r"127\.0\.0\.1:\d+": "127.0.0.1:8200", r"accessor \w+": "accessor …"}

    def __init__(self, bao: Bao, folder: Path) -> None:
        super().__init__(folder)
        self.bao = bao

    def run(self, name: str, words: str, options: str = "", **environment: str) -> None:
        variables = {
            **clean_environment(self.folder),
            "VAULT_ADDR": self.bao.url,
            **environment,
        }
        token = environment.get("VAULT_TOKEN", self.bao.root)
        self.start(name, words, REFERENCE + options, variables, token)


def all_reports() -> tuple[reports.Report, ...]:
    """Return every report, made with credentials of the moment."""
    with tempfile.TemporaryDirectory() as name, Bao(Path(name)) as bao:
        writer = _Writer(bao, Path(name))
        _of_logins(writer, bao)
        _of_contents(writer, bao)
        _of_the_way(writer)
        bao.seal()
        writer.run("Sealed", "Vault runs, but nobody unsealed it.", VAULT_TOKEN=bao.root)
        return tuple(writer.reports)


def _of_logins(writer: _Writer, bao: Bao) -> None:
    key = new_key()
    writer.secrets += [key.secret]
    bao.put(as_document(key))
    bao.policy("reader")
    bao.policy("billing", 'path "secret/data/billing" { capabilities = ["read"] }')
    writer.run(
        "Denied",
        "The token is good, its policies are about something else.",
        VAULT_TOKEN=bao.token("billing"),
    )
    revoked = bao.token("reader")
    bao.call("POST", "auth/token/revoke", {"token": revoked})
    writer.run("Expired login", "The token has ended.", VAULT_TOKEN=revoked)
    writer.run("No login", "There is no token in either place.")
    bao.method("approle", "approle")
    bao.call("POST", "auth/approle/role/app", {"token_policies": "reader"})
    bao.call("POST", "auth/approle/role/app/role-id", {"role_id": "web-shop"})
    writer.run(
        "AppRole refused",
        "The secret ID is not one of this role.",
        "?auth=approle&role=web-shop",
        VAULT_SECRET_ID=new_key().secret,
    )
    wrapping = bao.token("reader", wrap="60s")
    bao.call("POST", "sys/wrapping/unwrap", {}, token=wrapping)
    writer.run(
        "A wrapped login that somebody opened",
        "The wrapping token was opened before it came here.",
        "?auth=wrapped",
        VAULT_WRAPPED_TOKEN=wrapping,
    )


def _of_contents(writer: _Writer, bao: Bao) -> None:
    key = new_key()
    writer.secrets += [key.secret]
    root = {"VAULT_TOKEN": bao.root}
    bao.put({"account_sid": key.account, "api_key": key.sid})
    writer.run("Half a pair", "The secret has the key, but not its secret.", **root)
    bao.put({"account_sid": key.account, "api_key": ["x"], "api_secret": key.secret})
    writer.run("Malformed", "The key is a list.", **root)
    bao.call("DELETE", PATH)
    writer.run("Deleted", "The latest version was deleted.", **root)
    bao.call("DELETE", "secret/metadata/app/twilio")
    writer.run("Missing", "There is nothing at that path.", **root)


def _of_the_way(writer: _Writer) -> None:
    token = {"VAULT_TOKEN": writer.bao.root}
    with Loopback(lambda *_: (200, {})) as gone:
        address = gone.url
    writer.run("Refused port", "Nothing listens there.", VAULT_ADDR=address, **token)
    with black_hole() as port:
        writer.run(
            "Black hole",
            "Something listens, and never answers.",
            "?timeout=1",
            VAULT_ADDR=f"http://127.0.0.1:{port}",
            **token,
        )
    writer.run(
        "Plain HTTP",
        "The address would send the token unencrypted.",
        VAULT_ADDR="http://vault.internal:8200",
        **token,
    )


PAGE = reports.Page("vault", all_reports)

if __name__ == "__main__":
    PAGE.write()
