"""The example of the documentation, under a real uvicorn, against the emulator."""

from __future__ import annotations

import runpy
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import requests
import uvicorn

import safetwilio

if TYPE_CHECKING:
    import pytest

    from safetwilio.testing import Emulator

EXAMPLE = Path(__file__).parents[2] / "examples" / "asyncio" / "fastapi_app.py"


class Told(uvicorn.Server):
    """A server that says when it is ready."""

    def __init__(self, config: uvicorn.Config) -> None:
        """Be not ready yet."""
        super().__init__(config)
        self.ready = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and say so."""
        await super().startup(sockets)
        self.ready.set()


def test_the_example_sends_messages(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    key = emulator.standard_key
    monkeypatch.setenv("SAFETWILIO_BACKEND", "env")
    monkeypatch.setenv("TWILIO_ACCOUNT_SID", emulator.account.sid)
    monkeypatch.setenv("TWILIO_API_KEY", key.sid)
    monkeypatch.setenv("TWILIO_API_SECRET", key.secret)
    app = runpy.run_path(str(EXAMPLE))["app"]
    server = Told(uvicorn.Config(app, log_config=None, lifespan="on"))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        assert server.ready.wait(20)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/messages"
        try:
            with ThreadPoolExecutor(8) as pool:
                answers = list(pool.map(lambda number: _post(url, number), range(20)))
        finally:
            server.should_exit = True
            thread.join(20)
    assert not thread.is_alive()
    assert sorted(each["sid"] for each in answers) == sorted(e.sid for e in emulator.messages)
    assert len({each["sid"] for each in answers}) == 20
    transport = safetwilio.client.http_client
    assert transport.for_asyncio()._sessions == {}  # the lifespan, or the loop, closed them
    transport.session.close()


def _post(url: str, number: int) -> Any:
    params = {"to": "+15005550010", "body": f"number {number}"}
    answer = requests.post(url, params=params, timeout=20)
    assert answer.status_code == 200, answer.text
    return answer.json()
