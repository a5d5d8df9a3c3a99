"""The endpoints of the documentation, each served by a real server, asked over real HTTP."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from http.client import HTTPConnection
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import jwt
import pytest

from safetwilio.testing import EmulatorServer
from support import clean_environment, leaks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from http.client import HTTPMessage

    from safetwilio.testing.records import Key as EmulatedKey

HERE = Path(__file__).parent
EXAMPLES = HERE.parents[1] / "examples" / "access_tokens"
APP = "AP" + "0" * 32
CSRF = "a" * 32  # any text: what counts is that cookie and header agree


class Answer(NamedTuple):
    """An HTTP answer."""

    status: int
    headers: HTTPMessage
    body: bytes


class Site:
    """One of the examples, served by a process of its own until :meth:`stop`."""

    def __init__(self, framework: str, environment: dict[str, str], directory: Path) -> None:
        """Start the server and wait for the line that says where it is."""
        self._process = subprocess.Popen(
            [sys.executable, str(HERE / f"serve_{framework}.py")],
            cwd=directory,
            env=clean_environment(**environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, self.stop()
        said = json.loads(line)
        self.port, self.session = said["port"], said["session"]
        self.cookie = "session" if framework == "fastapi" else "sessionid"

    def ask(self, method: str = "POST", *, signed_in: bool = True, csrf: str = CSRF) -> Answer:
        """Ask for an access token as a browser does."""
        cookies = {"csrftoken": CSRF} | ({self.cookie: self.session} if signed_in else {})
        headers = {
            "Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items()),
            "X-CSRFToken": csrf,
        }
        connection = HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, "/access-token", headers=headers)
            answer = connection.getresponse()
            return Answer(answer.status, answer.headers, answer.read())
        finally:
            connection.close()

    def stop(self) -> str:
        """Stop the server and return all it has printed."""
        self._process.terminate()
        return "".join(self._process.communicate(timeout=60))


@pytest.fixture
def server() -> Iterator[EmulatorServer]:
    with EmulatorServer() as running:
        yield running


@pytest.fixture
def serve(server: EmulatorServer, tmp_path: Path) -> Iterator[Callable[..., Site]]:
    """Serve an example with a key of the emulator."""
    sites = []

    def start(framework: str, key: EmulatedKey) -> Site:
        environment = {
            "DATABASE": str(tmp_path / "site.sqlite3"),
            "PYTHONPATH": str(EXAMPLES),
            "SAFETWILIO_EMULATOR": server.url,
            "TWILIO_ACCOUNT_SID": server.emulator.account.sid,
            "TWILIO_API_KEY": key.sid,
            "TWILIO_API_SECRET": key.secret,
            "TWIML_APP_SID": APP,
        }
        sites.append(Site(framework, environment, tmp_path))
        return sites[-1]

    yield start
    for site in sites:
        site.stop()


frameworks = pytest.mark.parametrize("framework", ["fastapi", "django"])


@frameworks
def test_a_signed_in_user_gets_a_jwt_that_the_key_signed(
    framework: str, server: EmulatorServer, serve: Callable[..., Site]
) -> None:
    key = server.emulator.standard_key
    site = serve(framework, key)
    before = int(time.time())
    answer = site.ask()
    printed = site.stop()

    assert (answer.status, answer.headers["Cache-Control"]) == (200, "no-store"), printed
    minted = json.loads(answer.body)["token"]
    assert jwt.get_unverified_header(minted) == {
        "alg": "HS256",
        "cty": "twilio-fpa;v=1",
        "typ": "JWT",
    }
    claims: dict[str, Any] = jwt.decode(minted, key.secret, algorithms=["HS256"])
    assert (claims["iss"], claims["sub"]) == (key.sid, server.emulator.account.sid)
    assert before + 900 <= claims["exp"] <= time.time() + 900
    assert claims["grants"] == {
        "identity": "user_1",
        "voice": {"outgoing": {"application_sid": APP}},
    }
    assert leaks(printed, [key.secret, minted]) == []


@frameworks
def test_nobody_else_gets_one(
    framework: str, server: EmulatorServer, serve: Callable[..., Site]
) -> None:
    site = serve(framework, server.emulator.standard_key)
    anonymous = site.ask(signed_in=False)

    assert anonymous.status == 401
    assert list(json.loads(anonymous.body)) == ["detail"]
    assert site.ask("GET").status == 405


def test_another_sites_form_gets_none_from_django(
    server: EmulatorServer, serve: Callable[..., Site]
) -> None:
    assert serve("django", server.emulator.standard_key).ask(csrf="b" * 32).status == 403


def test_a_restricted_key_is_found_out_at_the_start_and_signs_nothing(
    server: EmulatorServer, serve: Callable[..., Site]
) -> None:
    """Nobody declared it: FastAPI's example asks Twilio."""
    key = server.emulator.account.create_key("restricted")
    site = serve("fastapi", key)
    answer = site.ask()
    printed = site.stop()

    assert answer.status == 500
    assert "[ST806]" in printed
    assert leaks(printed + answer.body.decode(), [key.secret]) == []
