"""The conformance suite, run for ``doppler:`` against a server that its own CLI takes for it."""

from __future__ import annotations

import json
import os
import secrets
from typing import TYPE_CHECKING

import pytest
from aws_server import black_hole, refused_port
from doppler_server import CONFIG, HTML, PROJECT, DopplerServer, clean
from typing_extensions import override

from safetwilio.testing.backends import BackendContract, Breakage
from support import new_key

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path


class TestDoppler(BackendContract):
    """What may pass is in test_doppler_failures.py: it is asked for until the deadline."""

    loads = 60  # test_doppler.py does it 1,000 times

    @pytest.fixture(autouse=True)
    def _place(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
        self.monkeypatch = monkeypatch
        with DopplerServer() as self.doppler, black_hole() as self.silent:
            self.token = self.doppler.token("dp.sa.")
            clean(monkeypatch, tmp_path, DOPPLER_TOKEN=self.token)
            yield

    @override
    def reference(self) -> str:
        return self._at(self.doppler.url, 15)

    def _at(self, url: str, seconds: int) -> str:
        return f"doppler://{PROJECT}/{CONFIG}?endpoint={url}&timeout={seconds}"

    def _log_in(self, token: str) -> None:
        if os.environ["DOPPLER_TOKEN"] != token:
            self.monkeypatch.setenv("DOPPLER_TOKEN", token)

    @override
    def put(self, document: Mapping[str, str]) -> None:
        self._log_in(self.token)
        self.doppler.say_no_more()
        self.doppler.put(document)

    @override
    def remove(self) -> None:
        self.doppler.put({})

    @override
    def breakages(self) -> Mapping[str, Breakage]:
        stranger = self.doppler.token("dp.sa.", projects=("other",))
        unknown = f"dp.sa.{secrets.token_hex(20)}"
        return {
            "denied": Breakage(lambda _: self._log_in(stranger), "ST330"),
            "login refused": Breakage(lambda _: self._log_in(unknown), "ST331"),
            "something else answers": Breakage(self._answer_as_html, "ST332"),
            "cut off": Breakage(self._cut, "ST333"),
        }

    def _answer_as_html(self, _: Mapping[str, str]) -> None:
        self.doppler.say(200, HTML)

    def _cut(self, document: Mapping[str, str]) -> None:
        self.doppler.say(200, json.dumps(dict(document))[:-2].encode())

    @override
    def unreachable(self) -> Mapping[str, float]:
        return {self._at(refused_port(), 1): 1.0, self._at(self.silent, 1): 1.0}

    @override
    def contents(self) -> Mapping[str, object]:
        return self.doppler.contents

    @override
    def unwritable(self) -> str:
        """Return one to a config that is not there: a read does not show if a token may write."""
        return self.reference().replace(CONFIG, "nowhere")

    @override
    def test_of_two_writers_exactly_one_wins(self) -> None:
        """Only where a key is: Doppler compares no name that was not there (docs/…/doppler.md)."""
        before = new_key().environment()
        self.monkeypatch.setattr(self, "remove", lambda: self.doppler.put(before))
        super().test_of_two_writers_exactly_one_wins()
