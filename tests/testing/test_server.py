"""The HTTP server: starting, stopping, routing by Host, many clients, and ill-behaved ones."""

from __future__ import annotations

import contextlib
import http.client
import select
import socket
import threading
from time import monotonic
from typing import TYPE_CHECKING

import pytest
from asking import RECIPIENT, SENDER, Ask, basic, pair_of, paths, token_of

from safetwilio.testing import Emulator, EmulatorServer
from safetwilio.testing import __getattr__ as lazily
from safetwilio.testing import connection as limits
from safetwilio.testing import server as servers
from safetwilio.testing.faults import hold, latency, slow_body
from safetwilio.testing.server import write_credentials

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from twilio.rest import Client

    from safetwilio.testing.faults import Fault

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
    for thread in set(threading.enumerate()) - before:
        thread.join(30)  # one that has given up its connection may still be on its way out
    assert set(threading.enumerate()) <= before


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
    assert exchange(server.port, "POST", "/", {"Transfer-Encoding": "gzip"}).status == 501
    assert exchange(server.port, "POST", "/", {"Content-Length": "many"}).status == 411
    assert exchange(server.port, "POST", "/", {"Content-Length": str(1 << 21)}).status == 413


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"0\r\n\r\n", 400),  # nothing, as requests sends an empty list: To is missing
        (b"3\r\nTo=\r\n5;x=y\r\n%2B15\r\n0\r\n\r\n", 400),
        (b"-1\r\n", 400),
        (b"fffffff\r\n", 400),
        (b"ffffff\r\n", 413),
        (b"2\r\nToXX", None),  # more than it said
    ],
)
def test_a_body_in_chunks(server: EmulatorServer, sent: bytes, status: int | None) -> None:
    account = server.emulator.account
    head = {"Transfer-Encoding": "chunked", "Connection": "close"} | basic(token_of(account))
    lines = [f"POST {paths(account)['messages']} HTTP/1.1", "Host: api.twilio.com"]
    lines += [f"{name}: {value}" for name, value in head.items()]
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall("\r\n".join([*lines, "", ""]).encode() + sent)
        connection.shutdown(socket.SHUT_WR)
        answer = b"".join(iter(lambda: connection.recv(4096), b""))
    assert answer.startswith(f"HTTP/1.1 {status}".encode() if status else b"")
    assert bool(answer) == bool(status)


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


SOON = 1.0  # seconds; a thread that does not end makes stop() wait for five


def head(server: EmulatorServer, method: str = "GET", what: str = "messages") -> bytes:
    """Return a request without the empty line at its end."""
    emulator = server.emulator
    lines = [f"{method} {paths(emulator.account)[what]} HTTP/1.1", "Host: api.twilio.com"]
    headers = basic(pair_of(emulator.standard_key))
    return "\r\n".join([*lines, *(f"{n}: {v}" for n, v in headers.items())]).encode()


@contextlib.contextmanager
def connected(server: EmulatorServer, count: int = 1) -> Iterator[list[socket.socket]]:
    with contextlib.ExitStack() as stack:
        yield [
            stack.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=30))
            for _ in range(count)
        ]


def stops_soon(server: EmulatorServer) -> bool:
    began = monotonic()
    server.stop()
    return monotonic() - began < SOON


def test_three_hundred_connections_are_kept_alive() -> None:
    before = set(threading.enumerate())
    server, count = EmulatorServer().start(), 300
    with connected(server, count) as clients:
        for _ in range(2):
            for client in clients:
                client.sendall(head(server) + b"\r\n\r\n")
            for client in clients:
                response = http.client.HTTPResponse(client)
                response.begin()
                assert response.status == 200
                response.read()
        assert len(server.emulator.requests) == 2 * count
        assert len(set(threading.enumerate()) - before) == count + 1
        assert stops_soon(server)
        assert [client.recv(1) for client in clients] == [b""] * count
    assert set(threading.enumerate()) <= before


def silent(server: EmulatorServer, client: socket.socket) -> None:
    """Connect and say nothing."""


def half_a_head(server: EmulatorServer, client: socket.socket) -> None:
    client.sendall(head(server))


def half_a_body(server: EmulatorServer, client: socket.socket) -> None:
    client.sendall(head(server, "POST") + b"\r\nContent-Length: 100\r\n\r\nTo=")


def half_open(server: EmulatorServer, client: socket.socket) -> None:
    client.sendall(head(server) + b"\r\n\r\n")
    client.shutdown(socket.SHUT_WR)


def not_reading(server: EmulatorServer, client: socket.socket) -> None:
    """Ask for more than the buffers of both sockets hold, and read nothing."""
    for _ in range(20):
        Ask(server.emulator)(
            "POST",
            paths(server.emulator.account)["messages"],
            pair_of(server.emulator.standard_key),
            To=RECIPIENT,
            From=SENDER,
            Body="x" * 1600,
        )
    client.sendall(200 * (head(server) + b"\r\n\r\n"))


@pytest.mark.parametrize("behave", [silent, half_a_head, half_a_body, half_open, not_reading])
def test_an_ill_behaved_client_neither_disturbs_others_nor_the_end(
    behave: Callable[[EmulatorServer, socket.socket], None],
) -> None:
    server = EmulatorServer().start()
    with connected(server, 5) as clients:
        for client in clients:
            behave(server, client)
        headers = basic(pair_of(server.emulator.standard_key))
        path = paths(server.emulator.account)["messages"]
        assert exchange(server.port, "GET", path, headers).status == 200
        assert stops_soon(server)
    assert not [each for each in threading.enumerate() if each.name.startswith("safetwilio")]


@pytest.mark.parametrize("fault", [hold(), latency(3600), slow_body(3600)])
def test_stop_does_not_wait_for_a_fault(fault: Fault) -> None:
    server, arrived = EmulatorServer().start(), threading.Event()
    server.emulator.faults.add(fault, match=lambda _: arrived.set() or True)
    with connected(server) as [client]:
        client.sendall(head(server) + b"\r\n\r\n")
        assert arrived.wait(30)
        assert stops_soon(server)


def test_a_half_open_client_gets_its_answer(server: EmulatorServer) -> None:
    with connected(server) as [client]:
        half_open(server, client)
        response = http.client.HTTPResponse(client)
        response.begin()
        assert response.status == 200
        response.read()
        assert client.recv(1) == b"", "then the connection ends"


def test_a_request_that_ends_too_early_is_not_processed(server: EmulatorServer) -> None:
    with connected(server) as [client]:
        client.sendall(head(server, "POST") + b"\r\nContent-Length: 100\r\n\r\nTo=%2B1555")
        client.shutdown(socket.SHUT_WR)
        assert client.recv(1) == b""
    assert server.emulator.requests == ()


@pytest.mark.parametrize(
    ("extra", "status"),
    [
        (b"\r\nX: " + b"x" * 70_000, b"431"),
        (b"".join(b"\r\nX-%d: x" % number for number in range(200)), b"431"),
    ],
)
def test_a_head_that_is_too_large_is_refused(
    server: EmulatorServer, extra: bytes, status: bytes
) -> None:
    with connected(server) as [client]:
        client.sendall(head(server) + extra + b"\r\n\r\n")
        assert client.recv(100).split()[1] == status
    assert server.emulator.requests == ()


def test_a_path_that_is_too_long_is_refused(server: EmulatorServer) -> None:
    with connected(server) as [client]:
        client.sendall(b"GET /" + b"x" * 70_000 + b" HTTP/1.1\r\n\r\n")
        assert client.recv(100).split()[1] == b"414"


@pytest.mark.parametrize("start", [b"", b"\r\nContent-Length: 1000\r\n\r\n"])
def test_a_request_that_trickles_in_is_cut_off(
    server: EmulatorServer, monkeypatch: pytest.MonkeyPatch, start: bytes
) -> None:
    """Though there is never a long pause: in its head, or in its body."""
    monkeypatch.setattr(limits, "EXCHANGE_SECONDS", 0.2)
    with connected(server) as [client], contextlib.suppress(ConnectionError):
        client.sendall(head(server, "POST") + start)
        while not select.select([client], [], [], 0.02)[0]:
            client.sendall(b"x")
        assert client.recv(1) == b""
    assert server.emulator.requests == ()


def test_an_idle_connection_ends(server: EmulatorServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "IDLE_SECONDS", 0.05)
    with connected(server) as [client]:
        assert client.recv(1) == b""


def test_connections_beyond_the_most_are_closed(
    server: EmulatorServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(servers, "MOST_CONNECTIONS", 2)
    with connected(server, 3) as clients:
        with contextlib.suppress(ConnectionError):
            assert clients[2].recv(1) == b""
        clients[0].sendall(head(server) + b"\r\n\r\n")
        assert clients[0].recv(12) == b"HTTP/1.1 200"
    ended = threading.Event()
    while not ended.is_set():  # until the server has noticed that they are gone
        with contextlib.suppress(ConnectionError, http.client.HTTPException):
            assert exchange(server.port, "GET", "/", {}).status == 401
            ended.set()


def test_an_emulator_may_forget() -> None:
    emulator = Emulator(remember=3)
    ask, path = Ask(emulator), paths(emulator.account)["messages"]
    key, form = pair_of(emulator.standard_key), {"To": RECIPIENT, "From": SENDER}
    sids = [ask("POST", path, key, **form, Body="x").json()["sid"] for _ in range(5)]
    assert [message.sid for message in emulator.messages] == sids[2:]
    assert [message.sid for message in emulator.messages[1:]] == sids[3:]
    assert (emulator.messages[-1].sid, len(emulator.requests)) == (sids[4], 3)
    listed = ask("GET", path, key).json()["messages"]
    assert [each["sid"] for each in listed] == sids[::-1], "the account has them still"
    emulator.reset()
    assert [ask("GET", path, key).status for _ in range(4)] == [200] * 4
    assert len(emulator.requests) == 3
