"""How many loads a second one OpenBao answers on this machine, with the library's own client."""

from __future__ import annotations

import os
import sys
import tempfile
import threading
import time
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from unittest import mock

from safetwilio.backends.locate import open_backend, parse

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

THREADS = (1, 4, 16)
_TESTS = Path(__file__).parents[2] / "tests"
_FIELDS = {"account_sid": "AC" + "0" * 32, "api_key": "SK" + "0" * 32, "api_secret": "x" * 32}


class Speed(NamedTuple):
    """Loads in a second from so many *threads*, and the processor time of the server for one."""

    threads: int
    loads: float
    server: float


def requests_of_a_load(kind: str = "") -> tuple[int, int]:
    """Return how many requests the first load of a process makes, and each later one."""
    with _served() as (bao, server):

        def pass_on(method: str, path: str, headers: Mapping[str, str], data: Any) -> Any:
            token = headers.get("X-Vault-Token", "")
            return bao.exchange(method, path.removeprefix("/v1/"), data or None, token=token)

        with server.Loopback(pass_on) as through, _at(through.url):
            asked = []
            for _ in range(2):
                before = len(through.asked)
                _load(kind)
                asked.append(len(through.asked) - before)
    return asked[0], asked[1]


def speeds(seconds: float, kind: str = "?kv=2") -> Iterator[Speed]:
    """Yield what was measured, each for so many *seconds*."""
    with _served() as (bao, _), _at(bao.url):
        _load(kind)
        for threads in THREADS:
            yield _measured(bao, threads, seconds, kind)


def _measured(bao: Any, threads: int, seconds: float, kind: str) -> Speed:
    done = [0] * threads
    used = _processor_time(bao)
    began = time.perf_counter()
    end = began + seconds

    def work(number: int) -> None:
        while time.perf_counter() < end:
            _load(kind)
            done[number] += 1

    workers = [threading.Thread(target=work, args=(number,)) for number in range(threads)]
    for each in workers:
        each.start()
    for each in workers:
        each.join()
    took = time.perf_counter() - began
    return Speed(threads, sum(done) / took, (_processor_time(bao) - used) / sum(done))


def _load(kind: str) -> None:
    (reference,) = parse(f"vault://secret/app/twilio{kind}", place="the bench")
    open_backend(reference).load(None)


def _processor_time(bao: Any) -> float:
    """Return the seconds that the server has used, where the system says so."""
    try:
        text = Path(f"/proc/{bao._process._process.pid}/stat").read_text()  # noqa: SLF001
    except OSError:
        return 0.0
    user, system = text.rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


class _served:  # noqa: N801 - a context manager
    def __enter__(self) -> tuple[Any, Any]:
        sys.path[:0] = [str(_TESTS), str(_TESTS / "backends")]
        server = import_module("vault_server")
        self._folder = tempfile.TemporaryDirectory()
        self._bao = server.Bao(Path(self._folder.name))
        self._bao.__enter__()
        self._bao.put(_FIELDS)
        clean = server.clean_environment(Path(self._folder.name))
        self._patch = mock.patch.dict(os.environ, {**clean, "VAULT_TOKEN": self._bao.root})
        self._patch.start()
        return self._bao, server

    def __exit__(self, *_: object) -> None:
        self._patch.stop()
        self._bao.__exit__()
        self._folder.cleanup()


def _at(url: str) -> Any:
    return mock.patch.dict(os.environ, {"VAULT_ADDR": url})
