"""Forks and threads: no socket is shared, no answer is crossed, no key goes to another account."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from wires import Received, Wire, answer

import safetwilio
from safetwilio.clients import TwilioClient
from safetwilio.errors import InvalidCredentials
from safetwilio.store import CredentialStore
from safetwilio.testing import EmulatorServer
from support import new_key

if TYPE_CHECKING:
    from collections.abc import Callable

    from safetwilio.testing import Emulator
    from support import Key

    Connect = Callable[..., TwilioClient]

FORKING = """
import os, sys
from safetwilio import client

def send(who, count):
    for number in range(count):
        body = f"{who}-{number}"
        assert client.messages.create(to="+1", body=body).body == body

send("parent", 3)
children = []
for child in range(4):
    pid = os.fork()
    if not pid:
        try:
            if child % 2:
                from concurrent.futures import ThreadPoolExecutor
                with ThreadPoolExecutor(8) as pool:
                    for done in [pool.submit(send, f"child{child}", 1) for _ in range(50)]:
                        done.result()
            else:
                send(f"child{child}", 50)
        except BaseException as error:
            print(error, file=sys.stderr)
            os._exit(1)
        os._exit(0)
    children.append(pid)
send("parent", 50)
for pid in children:
    assert os.waitpid(pid, 0)[1] == 0
send("parent", 1)
"""


def echo(request: Received) -> bytes:
    return answer(201, {"sid": "SM1", "body": request.form["Body"]})


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform does not fork")
def test_children_share_no_socket_with_their_parent(key: Key, emulator: Emulator) -> None:
    with Wire(echo) as wire:
        environment = {
            **os.environ,
            "SAFETWILIO_EMULATOR": wire.url,
            "TWILIO_ACCOUNT_SID": emulator.account.sid,
            "TWILIO_API_KEY": emulator.standard_key.sid,
            "TWILIO_API_SECRET": key.secret,
        }
        done = subprocess.run(
            [sys.executable, "-c", FORKING],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=100,
        )
    assert (done.returncode, done.stderr) == (0, "")
    ports: dict[str, set[int]] = {}
    for request in wire.requests:
        ports.setdefault(request.form["Body"].partition("-")[0], set()).add(request.peer)
    assert sorted(ports) == ["child0", "child1", "child2", "child3", "parent"]
    assert len(set().union(*ports.values())) == sum(map(len, ports.values()))
    assert len(ports["parent"]) == 1  # it kept its connection through it all
    assert len(wire.requests) == 3 + 4 * 50 + 50 + 1


def test_each_thread_gets_its_own_answer(connect: Connect, key: Key) -> None:
    with Wire(echo) as wire:
        client = connect(wire.url, key.sid, key.secret, key.account)
        start = threading.Barrier(32)

        def send(thread: int) -> list[bool]:
            start.wait()
            return [
                client.messages.create(to="+1", body=f"{thread}-{number}").body
                == f"{thread}-{number}"
                for number in range(50)
            ]

        with ThreadPoolExecutor(32) as pool:
            right = [each for done in pool.map(send, range(32)) for each in done]
        assert right == [True] * 1600
        assert len({request.form["Body"] for request in wire.requests}) == 1600


ACCOUNTS = 4


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    order=st.lists(st.integers(0, ACCOUNTS - 1), min_size=1, max_size=40),
    threads=st.integers(1, 8),
    data=st.data(),
)
def test_keys_never_cross_accounts(order: list[int], threads: int, data: st.DataObject) -> None:
    """Random accounts asked in random order by threads; the emulator's journal is the judge."""
    names = data.draw(
        st.lists(
            st.from_regex(r"[a-z][a-z0-9_]{0,9}", fullmatch=True).filter(
                lambda name: name != "default"
            ),
            min_size=ACCOUNTS,
            max_size=ACCOUNTS,
            unique=True,
        )
    )
    with EmulatorServer() as server, pytest.MonkeyPatch.context() as environment:
        safetwilio.reset()
        environment.setenv("SAFETWILIO_EMULATOR", server.url)
        environment.setenv("SAFETWILIO_BACKEND", "env")
        key_of = {}
        for name in names:
            account = server.emulator.create_account()
            key = account.create_key()
            key_of[account.sid] = key.sid
            for variable, value in (
                ("ACCOUNT_SID", account.sid),
                ("API_KEY", key.sid),
                ("API_SECRET", key.secret),
            ):
                environment.setenv(f"TWILIO_{name.upper()}_{variable}", value)

        def work(number: int) -> str:
            client = safetwilio.get_client(names[number])
            sent = client.messages.create(to="+15551230001", from_="+15005550006", body="x")
            assert client.messages.list(limit=1)
            return str(sent.account_sid)

        with ThreadPoolExecutor(threads) as pool:
            accounts = list(pool.map(work, order))
        for name in names:
            safetwilio.get_client(name).http_client.session.close()
        safetwilio.reset()
        assert len(server.emulator.requests) == 2 * len(order) == 2 * len(accounts)
        for entry in server.emulator.requests:
            assert entry.status in {200, 201}
            assert entry.username == key_of[entry.path.split("/")[3]]
        assert all(m.key_sid == key_of[m.account_sid] for m in server.emulator.messages)


def test_store_that_changes_the_account_is_not_followed(emulator: Emulator) -> None:
    from safetwilio.credentials import ApiKey

    def loaded(key: Any) -> ApiKey:
        return ApiKey(key.account_sid, key.sid, key.secret, source="test")

    first, second = emulator.standard_key, emulator.account.create_key()
    other = emulator.create_account().create_key()
    keys = [loaded(second), loaded(other)]
    store = CredentialStore(loaded(first), lambda: keys.pop(0))
    client = TwilioClient.from_store(store)
    client.messages.list(limit=1)
    store.refresh()
    client.messages.list(limit=1)
    with pytest.raises(InvalidCredentials, match="ST224"):
        store.refresh()
    client.messages.list(limit=1)
    assert [entry.username for entry in emulator.requests] == [first.sid, second.sid, second.sid]
    client.http_client.session.close()


def test_named_account_is_not_the_default(emulator: Emulator, monkeypatch: Any) -> None:
    for name, value in new_key().environment("other").items():
        monkeypatch.setenv(name, value)
    with pytest.raises(safetwilio.errors.ConfigurationError):
        safetwilio.get_client("marketing")
    assert emulator.requests == ()
