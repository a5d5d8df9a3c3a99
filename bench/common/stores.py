"""The secret stores that the tests run, in a process of their own, and what they were asked.

As a script it serves: one line of JSON says how to reach each store, then each line read is
answered with what was asked since the last one. So the measuring process stays small (a child's
peak counts that of its parent) and the stores' work is no child's.
"""

from __future__ import annotations

import base64
import json
import os
import secrets
import string
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ROOT = Path(__file__).parents[2]
_FOREIGN = ("AWS_", "BAO_", "GOOGLE_", "GRPC_", "SAFETWILIO_", "TWILIO_", "VAULT_")


class Stores:
    """The stores of the process that serves: *environments* by the name of the store."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        """Read how to reach them."""
        self._process = process
        self.environments = {name: _patient(found) for name, found in self._read().items()}

    def asked(self) -> dict[str, list[str]]:
        """Return what each was asked since the last time."""
        if self._process.stdin is None:
            raise RuntimeError("the stores cannot be asked")
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        found: dict[str, list[str]] = self._read()
        return found

    def _read(self) -> Any:
        text = self._process.stdout.readline() if self._process.stdout else ""
        if not text:
            raise RuntimeError("the stores did not start")
        return json.loads(text)


def _patient(environment: Mapping[str, str]) -> dict[str, str]:
    """Give a remote store all the time it may have: a busy machine must not end a measurement."""
    reference = environment["SAFETWILIO_BACKEND"]
    if not reference.startswith("dotenv-vault:"):
        reference += ("&" if "?" in reference else "?") + "timeout=15"
    return {**environment, "SAFETWILIO_BACKEND": reference}


@contextmanager
def stores(folder: Path) -> Iterator[Stores]:
    """Run them for the length of the block; a file that is a store is written to *folder*."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}
    process = subprocess.Popen(  # noqa: S603 - our own interpreter and script
        [sys.executable, __file__, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=kept,
    )
    try:
        yield Stores(process)
    finally:
        process.communicate()  # its input ends, and with it the servers


class _Document(NamedTuple):
    """Credentials of the right form that open nothing."""

    account_sid: str
    api_key: str
    api_secret: str

    def variables(self) -> dict[str, str]:
        return {f"TWILIO_{name.upper()}": value for name, value in self._asdict().items()}


def _document() -> _Document:
    letters = "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(29))
    return _Document(f"AC{secrets.token_hex(16)}", f"SK{secrets.token_hex(16)}", f"zQ7{letters}")


def _serve(folder: Path) -> None:
    sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests" / "backends")]
    from aws_server import REFERENCE, AwsServer  # type: ignore[import-not-found]
    from doppler_server import DopplerServer  # type: ignore[import-not-found]
    from gcp_server import (  # type: ignore[import-not-found]
        NAME,
        PROJECT,
        Google,
        GrpcServer,
        RestServer,
    )
    from vault_server import Bao  # type: ignore[import-not-found]

    document = _document()
    google = Google()
    google.put(document._asdict())
    with ExitStack() as stack:
        aws = stack.enter_context(AwsServer())
        aws.put(document._asdict())
        doppler = stack.enter_context(DopplerServer())
        doppler.put(document.variables())
        bao = stack.enter_context(Bao(folder))
        bao.put(document._asdict())
        rest, grpc = (stack.enter_context(kind(google)) for kind in (RestServer, GrpcServer))
        vaults, through = _vaults(bao, stack)
        _say(
            {
                "aws": {**aws.environment, "SAFETWILIO_BACKEND": REFERENCE},
                **vaults,
                "google": {
                    "APP_REST": rest.partition("//")[2],
                    "APP_GRPC": grpc.partition("//")[2],
                    "SAFETWILIO_BACKEND": f"gcp-sm://{PROJECT}/{NAME}?endpoint={rest}",
                },
                "doppler": {
                    "APP_DOPPLER": doppler.url,
                    "DOPPLER_TOKEN": doppler.token(),
                    "SAFETWILIO_BACKEND": f"doppler:?endpoint={doppler.url}",
                },
                "dotenv-vault": _dotenv_vault(folder, document),
            }
        )
        for _ in sys.stdin:
            asked = {
                "aws": aws.actions,
                "vault": [f"{each[0]} {each[1].partition('?')[0]}" for each in through.asked],
                "google": google.methods(),
                "doppler": [f"{each.method} {each.path}" for each in doppler.asked],
            }
            _say(asked)
            for journal in (aws.asked, through.asked, google.asked, doppler.asked):
                journal.clear()


def _vaults(bao: Any, stack: ExitStack) -> tuple[dict[str, dict[str, str]], Any]:
    """Return the ways to log in, each also *through* a server that keeps a journal."""
    from vault_server import REFERENCE, Loopback

    def pass_on(method: str, path: str, headers: Mapping[str, str], data: Any) -> tuple[int, Any]:
        token = headers.get("X-Vault-Token", "")
        found: tuple[int, Any] = bao.exchange(
            method, path.removeprefix("/v1/"), data or None, token=token
        )
        return found

    through = stack.enter_context(Loopback(pass_on))
    mount, role_id, role = bao.approle()
    token = {"VAULT_TOKEN": bao.token("reader"), "SAFETWILIO_BACKEND": REFERENCE}
    secret_id = bao.secret_id(role)
    approle = {
        "APP_MOUNT": mount,
        "APP_ROLE_ID": role_id,
        "APP_SECRET_ID": secret_id,
        "VAULT_ROLE_ID": role_id,
        "VAULT_SECRET_ID": secret_id,
        "SAFETWILIO_BACKEND": f"{REFERENCE}?auth=approle&auth_path={mount}",
    }
    ways = {"vault, token": token, "vault, AppRole": approle}
    ways["vault, token, kv=2"] = {**token, "SAFETWILIO_BACKEND": f"{REFERENCE}?kv=2"}
    found = {name: {**way, "VAULT_ADDR": bao.url} for name, way in ways.items()}
    found |= {f"{name}, counted": {**way, "VAULT_ADDR": through.url} for name, way in ways.items()}
    return found, through


def _dotenv_vault(folder: Path, document: _Document) -> dict[str, str]:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    key, nonce = secrets.token_bytes(32), secrets.token_bytes(12)
    text = "".join(f'{name}="{value}"\n' for name, value in document.variables().items())
    sealed = base64.b64encode(nonce + AESGCM(key).encrypt(nonce, text.encode(), None)).decode()
    (folder / ".env.vault").write_text(f'DOTENV_VAULT_PRODUCTION="{sealed}"\n')
    return {
        "DOTENV_KEY": f"dotenv://:key_{key.hex()}@dotenvx.com/vault/.env.vault"
        "?environment=production",
        "SAFETWILIO_BACKEND": "dotenv-vault:.env.vault",
    }


def _say(found: object) -> None:
    sys.stdout.write(json.dumps(found) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    _serve(Path(sys.argv[1]))
