"""The conformance suite, run for ``gcp-sm:`` over REST and over gRPC."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, ClassVar

import pytest
from gcp_google import NAME, PROJECT, Google, Refusal
from gcp_server import (
    GrpcServer,
    RestServer,
    black_hole,
    clean,
    refused_port,
)
from typing_extensions import override

from safetwilio.testing.backends import BackendContract, Breakage

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path


class _Contract(BackendContract):
    server: ClassVar[type[RestServer | GrpcServer]]
    transport: ClassVar[str]
    loads = 100  # each connects anew; test_gcp.py does it 1,000 times

    @pytest.fixture(autouse=True)
    def _place(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
        clean(monkeypatch, tmp_path)
        self.google = Google()
        with self.server(self.google) as self.url, black_hole() as self.silent:
            yield

    @override
    def reference(self) -> str:
        return self._at(self.url, "&timeout=15")

    def _at(self, url: str, options: str = "") -> str:
        return f"gcp-sm://{PROJECT}/{NAME}?transport={self.transport}&endpoint={url}{options}"

    @override
    def put(self, document: Mapping[str, str]) -> None:
        self.google.denied = set()
        self.google.corrupt = False
        self.google.refusals.clear()
        self.google.put(document)

    @override
    def remove(self) -> None:
        self.google.secrets.clear()

    @override
    def breakages(self) -> Mapping[str, Breakage]:
        return {
            "denied": Breakage(lambda _: self._deny("secretmanager.versions.access"), "ST330"),
            "login refused": Breakage(lambda _: self._refuse("UNAUTHENTICATED"), "ST331"),
            "not JSON": Breakage(self._cut, "ST333"),
            "corrupted": Breakage(lambda _: setattr(self.google, "corrupt", True), "ST333"),
            "disabled": Breakage(lambda _: self.google.set_state("DISABLED"), "ST335"),
            "destroyed": Breakage(lambda _: self.google.set_state("DESTROYED"), "ST335"),
        }

    def _deny(self, permission: str) -> None:
        self.google.denied = {permission}

    def _refuse(self, word: str) -> None:
        self.google.refusals.extend([("AccessSecretVersion", Refusal(word, "No."))] * 99)

    def _cut(self, document: Mapping[str, str]) -> None:
        self.google.put(json.dumps(dict(document))[:-2])

    @override
    def unreachable(self) -> Mapping[str, float]:
        timeout = "&timeout=1"
        return {self._at(refused_port(), timeout): 1.0, self._at(self.silent, timeout): 1.0}

    @override
    def contents(self) -> Mapping[str, object]:
        found: dict[str, object] = self.google.documents()[-1]
        return found

    @override
    def unwritable(self) -> str:
        self.google.put("{}")
        self._deny("secretmanager.versions.add")
        return self.reference()


class TestRest(_Contract):
    """As it is read unless the reference says otherwise."""

    server = RestServer
    transport = "rest"


class TestGrpc(_Contract):
    """The server is in this process as well, so what gRPC does at a fork cannot be asked here."""

    server = GrpcServer
    transport = "grpc"
    races = 10

    @override
    def test_a_fork_is_survived(self) -> None:
        pytest.skip("a gRPC server cannot be forked; docs/backends/gcp.md says to use REST")
