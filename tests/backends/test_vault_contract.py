"""The conformance suite, run for ``vault:`` against a real OpenBao, with both KV engines."""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING, ClassVar

import pytest
from typing_extensions import override
from vault_server import Bao, black_hole, clean, free_port

from safetwilio.testing.backends import BackendContract, Breakage

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

SECRET = "app/twilio"


@pytest.fixture(scope="module")
def bao(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bao]:
    with Bao(tmp_path_factory.mktemp("bao")) as server:
        server.call("POST", "sys/mounts/old", {"type": "kv"})
        server.policy("nothing", 'path "secret/data/other" { capabilities = ["read"] }')
        for mount in ("secret/data", "old"):
            policy = f'path "{mount}/{SECRET}" {{ capabilities = ["read"] }}'
            server.policy(f"reader-{mount[:3]}", policy)
        yield server


class _Contract(BackendContract):
    mount: ClassVar[str]
    loads = 100  # test_vault.py does it 1,000 times
    races = 6

    @pytest.fixture(autouse=True)
    def _place(self, bao: Bao, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
        clean(monkeypatch, tmp_path)
        self.bao, self.monkeypatch = bao, monkeypatch
        with black_hole() as self.silent:
            self._log_in(bao.root)
            monkeypatch.setenv("VAULT_ADDR", bao.url)
            yield
        self.remove()

    def _log_in(self, token: str) -> None:
        if os.environ.get("VAULT_TOKEN") != token:
            self.monkeypatch.setenv("VAULT_TOKEN", token)

    @override
    def reference(self) -> str:
        return f"vault://{self.mount}/{SECRET}?timeout=15"

    @override
    def breakages(self) -> Mapping[str, Breakage]:
        return {
            "denied": Breakage(lambda _: self._log_in(self.bao.token("nothing")), "ST330"),
            "login refused": Breakage(lambda _: self._revoke(), "ST331"),
            "not a text": Breakage(self._nest, "ST333"),
        }

    def _revoke(self) -> None:
        token = self.bao.token("nothing")
        self.bao.call("POST", "auth/token/revoke", {"token": token})
        self._log_in(token)

    def _nest(self, document: Mapping[str, str]) -> None:
        self._write({**document, "TWILIO_API_SECRET": [document["TWILIO_API_SECRET"]]})

    @override
    def put(self, document: Mapping[str, str]) -> None:
        self._log_in(self.bao.root)
        self._write(document)

    def _write(self, document: Mapping[str, object]) -> None:
        raise NotImplementedError

    def _at(self, port: int) -> Mapping[str, float]:
        self.monkeypatch.setenv("VAULT_ADDR", f"http://127.0.0.1:{port}")
        return {f"vault://{self.mount}/{SECRET}?timeout=1": 1.0}

    @override
    def unwritable(self) -> str:
        self._log_in(self.bao.token(f"reader-{self.mount[:3]}"))
        return self.reference()


class TestKv2(_Contract):
    """With versions, each of which can be taken away alone."""

    mount = "secret"

    @override
    def _write(self, document: Mapping[str, object]) -> None:
        self.bao.put(document)

    @override
    def remove(self) -> None:
        self.bao.exchange("DELETE", f"secret/metadata/{SECRET}")

    @override
    def breakages(self) -> Mapping[str, Breakage]:
        call = self.bao.call
        delete = partial(call, "DELETE", f"secret/data/{SECRET}")
        destroy = partial(call, "PUT", f"secret/destroy/{SECRET}")
        return {
            **super().breakages(),
            "deleted": Breakage(lambda _: delete(), "ST335"),
            "destroyed": Breakage(lambda _: destroy({"versions": [self._newest()]}), "ST335"),
        }

    def _newest(self) -> int:
        metadata = self.bao.call("GET", f"secret/metadata/{SECRET}")["data"]
        return int(metadata["current_version"])

    @override
    def unreachable(self) -> Mapping[str, float]:
        return self._at(self.silent)

    @override
    def contents(self) -> Mapping[str, object]:
        return self.bao.read()


class TestKv1(_Contract):
    """Without versions: a digest tells one document from another."""

    mount = "old"

    @override
    def _write(self, document: Mapping[str, object]) -> None:
        self.bao.call("POST", f"old/{SECRET}", document)

    @override
    def remove(self) -> None:
        self.bao.exchange("DELETE", f"old/{SECRET}")

    @override
    def unreachable(self) -> Mapping[str, float]:
        return self._at(free_port())

    @override
    def contents(self) -> Mapping[str, object]:
        found: dict[str, object] = self.bao.call("GET", f"old/{SECRET}")["data"]
        return found

    @override
    def test_of_two_writers_exactly_one_wins(self) -> None:
        pytest.skip("KV 1 compares nothing when it writes; docs/backends/vault.md says so")
