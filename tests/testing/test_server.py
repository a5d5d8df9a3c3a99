"""The HTTP server: starting, stopping, routing by Host, many clients, and running alone."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest
from asking import RECIPIENT, SENDER, basic, pair_of, paths, token_of

from safetwilio.shapes import EMULATOR_MARK
from safetwilio.testing import Emulator, EmulatorServer
from safetwilio.testing import __getattr__ as lazily
from safetwilio.testing.server import main as serve
from safetwilio.testing.server import write_credentials

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from twilio.rest import Client

MESSAGE = {"to": RECIPIENT, "from_": SENDER, "body": "hi"}


def exchange(
    port: int, method: str, path: str, headers: dict[str, str], body: bytes | None = None
) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        response.read()
        return response
    finally:
        connection.close()


def test_stop_releases_the_port_and_ends_kept_connections() -> None:
    server = EmulatorServer().start()
    port = server.port
    idle = socket.create_connection(("127.0.0.1", port), timeout=30)
    assert exchange(port, "GET", "/", {}).status == 401
    server.stop()
    server.stop()
    assert idle.recv(1) == b"", "the kept connection was closed"
    idle.close()
    with EmulatorServer(port=port) as again:
        assert again.port == port
    with pytest.raises(ConnectionRefusedError):
        exchange(port, "GET", "/", {})


def test_a_server_starts_once_and_has_no_url_before() -> None:
    server = EmulatorServer()
    server.stop()
    assert repr(server) == "<EmulatorServer not started>"
    with pytest.raises(RuntimeError, match="not started"):
        _ = server.url
    with server:
        assert server.url in repr(server)
        with pytest.raises(RuntimeError, match="started before"):
            server.start()


def test_no_thread_is_left_behind() -> None:
    before = set(threading.enumerate())
    with EmulatorServer() as server:
        exchange(server.port, "GET", "/", {})
    assert set(threading.enumerate()) == before


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("api.twilio.com", 200),
        ("API.Twilio.com:443", 200),
        ("api.dublin.ie1.twilio.com", 200),
        (None, 200),
        ("verify.twilio.com", 404),
    ],
)
def test_the_host_header_says_which_product_is_meant(
    server: EmulatorServer, host: str | None, status: int
) -> None:
    headers = basic(token_of(server.emulator.account)) | ({"Host": host} if host else {})
    path = paths(server.emulator.account)["keys"]
    assert exchange(server.port, "GET", path, headers).status == status


def test_the_headers_of_an_answer(server: EmulatorServer) -> None:
    headers = basic(token_of(server.emulator.account))
    response = exchange(server.port, "GET", paths(server.emulator.account)["keys"], headers)
    assert response.headers["Content-Type"] == "application/json"
    assert response.headers["Twilio-Request-Id"].startswith("RQ")
    assert response.headers["Twilio-Concurrent-Requests"] == "1"


def test_bodies_that_cannot_be_read_are_refused(server: EmulatorServer) -> None:
    assert exchange(server.port, "POST", "/", {"Transfer-Encoding": "chunked"}).status == 411
    assert exchange(server.port, "POST", "/", {"Content-Length": "many"}).status == 411
    assert exchange(server.port, "POST", "/", {"Content-Length": str(1 << 21)}).status == 413


def test_the_server_says_nothing(server: EmulatorServer, capfd: pytest.CaptureFixture[str]) -> None:
    exchange(server.port, "GET", "/", basic(token_of(server.emulator.account)))
    assert capfd.readouterr() == ("", "")


def test_twilios_client_does_everything_over_http(
    server: EmulatorServer, connect: Callable[..., Client]
) -> None:
    client = connect(server, token_of(server.emulator.account))
    message = client.messages.create(**MESSAGE)
    server.emulator.advance(10)
    assert client.messages(message.sid).fetch().status == "delivered"
    assert client.messages(message.sid).update(body="").body == ""
    assert client.messages(message.sid).delete()
    key = client.new_keys.create(friendly_name="web")
    assert key.secret
    assert client.keys(key.sid).update(friendly_name="b").friendly_name == "b"
    assert client.keys(key.sid).delete()
    child = client.api.accounts.create(friendly_name="child")
    assert client.api.accounts(child.sid).update(status="suspended").status == "suspended"
    assert {each.sid for each in client.api.accounts.list()} >= {child.sid}
    secondary = client.accounts.v1.secondary_auth_token().create()
    assert secondary.date_created
    promoted = client.accounts.v1.auth_token_promotion().update()
    assert promoted.auth_token == secondary.secondary_auth_token


def test_many_threads_get_their_own_answers_and_unique_sids(
    server: EmulatorServer, connect: Callable[..., Client]
) -> None:
    threads, each = 16, 20
    client, sids, start = connect(server), [], threading.Barrier(threads)

    def send(number: int) -> None:
        start.wait(30)
        for turn in range(each):
            body = f"{number}-{turn}"
            message = client.messages.create(to=RECIPIENT, from_=SENDER, body=body)
            assert message.body == body
            sids.append(message.sid)

    workers = [threading.Thread(target=send, args=(number,)) for number in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert len(set(sids)) == len(sids) == threads * each
    assert {message.sid for message in server.emulator.messages} == set(sids)
    assert len(server.emulator.requests) == threads * each


def test_an_emulator_of_ones_own_is_served() -> None:
    emulator = Emulator()
    with EmulatorServer(emulator) as server:
        exchange(server.port, "GET", "/anything", {})
    assert [entry.path for entry in emulator.requests] == ["/anything"]


def test_alone_it_prints_no_secret_and_hides_its_credentials(tmp_path: Path) -> None:
    path = tmp_path / "credentials.json"
    path.write_text("old")
    command = [sys.executable, "-m", "safetwilio.testing.server", "--credentials", str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout
        line = process.stdout.readline().decode()
        shown, hidden = json.loads(line), json.loads(path.read_text())
        keys = {"Authorization": basic(tuple(hidden["standard_key"].values()))["authorization"]}
        listing = f"/2010-04-01/Accounts/{shown['account_sid']}/Messages.json"
        status = exchange(int(shown["url"].rpartition(":")[2]), "GET", listing, keys).status
        process.send_signal(signal.SIGTERM)
        out, errors = process.communicate(timeout=30)
    assert status == 200
    assert EMULATOR_MARK in hidden["account_sid"]
    secrets = [hidden["auth_token"], hidden["standard_key"]["secret"], hidden["main_key"]["secret"]]
    assert not [secret for secret in secrets if secret in line]
    assert (out, errors) == (b"", b"")
    if os.name == "posix":
        assert process.returncode == 0
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_credentials_that_cannot_be_written_leave_nothing(
    server: EmulatorServer, tmp_path: Path
) -> None:
    (tmp_path / "taken").mkdir()
    with pytest.raises(OSError, match="taken"):
        write_credentials(server, tmp_path / "taken")
    assert [each.name for each in tmp_path.iterdir()] == ["taken"]


def test_an_unknown_name_of_the_package() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        lazily("Nothing")


def test_two_answers_on_one_connection(server: EmulatorServer) -> None:
    """The connection is kept alive: also after a refusal and an answer without a body."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    emulator = server.emulator
    headers = basic(token_of(emulator.account))
    path = paths(emulator.account)["key"].format(emulator.main_key.sid)
    statuses = []
    for _ in range(2):
        connection.request("DELETE", path, headers=headers)
        response = connection.getresponse()
        response.read()
        statuses.append((response.status, connection.sock is not None))
    connection.close()
    assert statuses == [(204, True), (404, True)]
    assert pair_of(emulator.main_key)[0] in path


def test_what_cannot_be_served_or_written_is_one_line(
    server: EmulatorServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for words in (["--port", str(server.port)], ["--credentials", str(tmp_path / "no" / "x")]):
        assert serve(words) == 1
        assert capsys.readouterr().err.count("\n") == 1
