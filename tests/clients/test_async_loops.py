"""One client and any event loops: made anywhere, used in many, closed with each, after a fork."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from leaks import Spotter, caught
from test_async_wire import emulated
from wires import CERTIFICATE, Wire, answer, close, hang

from safetwilio.clients import TransportError, TwilioClient
from safetwilio.clients.async_transport import AsyncTransport
from support import new_key, run_python

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from support import Key

    Connect = Callable[..., TwilioClient]

URL = "https://api.twilio.com/2010-04-01/x"


@pytest.fixture
def key() -> Key:
    return emulated()


@pytest.fixture
def wire() -> Iterator[Wire]:
    with Wire() as wire:
        yield wire


@pytest.fixture
def client(connect: Connect, key: Key, wire: Wire) -> TwilioClient:
    return connect(wire.url, key.sid, key.secret, key.account)


async def status(client: TwilioClient) -> int:
    return (await client.request_async("GET", URL)).status_code


def sessions(client: TwilioClient) -> dict[Any, Any]:
    return client.http_client.for_asyncio()._sessions


def test_made_outside_and_used_in_loops_one_after_the_other(
    client: TwilioClient, wire: Wire
) -> None:
    loops = []

    async def twice() -> list[int]:
        loops.append(weakref.ref(asyncio.get_running_loop()))
        return [await status(client), await status(client)]

    assert [asyncio.run(twice()) for _ in range(5)] == [[200, 200]] * 5
    assert wire.connections == 5
    assert sessions(client) == {}
    gc.collect()
    assert [each() for each in loops] == [None] * 5  # no loop is kept in memory


def test_made_inside(connect: Connect, key: Key, wire: Wire) -> None:
    async def make_and_use() -> int:
        return await status(connect(wire.url, key.sid, key.secret, key.account))

    assert asyncio.run(make_and_use()) == 200


def test_one_client_serves_both_kinds_of_code(client: TwilioClient, wire: Wire) -> None:
    async def mixed() -> list[int]:
        in_thread = await asyncio.to_thread(client.request, "GET", URL)
        return [client.request("GET", URL).status_code, await status(client), in_thread.status_code]

    assert asyncio.run(mixed()) == [200] * 3
    assert len(wire.authorizations) == 1


def test_loops_of_many_threads_at_once(client: TwilioClient, wire: Wire) -> None:
    threads, start = 8, threading.Barrier(8)

    async def many() -> list[int]:
        start.wait(20)
        return await asyncio.gather(*(status(client) for _ in range(20)))

    with ThreadPoolExecutor(threads) as pool:
        found = list(pool.map(lambda _: asyncio.run(many()), range(threads)))
    assert found == [[200] * 20] * threads
    assert sessions(client) == {}
    assert len(wire.requests) == 160


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")  # asyncio's own, of its sockets
def test_loop_closed_without_shutting_anything_down(client: TwilioClient, wire: Wire) -> None:
    """What old code does; aiohttp would complain about the session."""
    for _ in range(3):
        loop = asyncio.new_event_loop()
        assert loop.run_until_complete(status(client)) == 200
        loop.close()
        assert len(sessions(client)) == 1
    asyncio.run(status(client))
    assert sessions(client) == {}
    gc.collect()
    wire.behave = lambda _: answer(201)
    assert asyncio.run(status(client)) == 201


def test_aclose_and_use_again(client: TwilioClient, wire: Wire) -> None:
    async def close_and_use() -> list[int]:
        await client.aclose()  # nothing is open yet
        first = await status(client)
        await client.aclose()
        assert sessions(client) == {}
        await client.aclose()
        return [first, await status(client)]

    assert asyncio.run(close_and_use()) == [200, 200]
    assert wire.connections == 2


def test_aclose_of_a_client_with_an_asynchronous_transport(client: TwilioClient) -> None:
    async def close_it() -> dict[Any, Any]:
        client.http_client = AsyncTransport(emulator=client.http_client.emulator)
        await status(client)
        await client.aclose()
        return sessions(client)

    assert asyncio.run(close_it()) == {}


def test_aclose_leaves_other_http_clients_alone(key: Key) -> None:
    client = TwilioClient(key.sid, key.secret, key.account, http_client=_Other())
    asyncio.run(client.aclose())


class _Other:
    """An HTTP client of somebody else."""


def test_session_that_somebody_closed_is_replaced(client: TwilioClient) -> None:
    async def close_it() -> int:
        await status(client)
        [kept] = sessions(client).values()
        await kept.session.close()
        return await status(client)

    assert asyncio.run(close_it()) == 200
    assert sessions(client) == {}


def test_aclose_while_requests_wait(connect: Connect, key: Key) -> None:
    """Those under way fail as what they are; those that wait for their turn get a new session."""

    async def close_among_them() -> list[Any]:
        client.http_client = AsyncTransport(emulator=wire.url, connections=1, timeout=10)
        waiting = [asyncio.create_task(status(client)) for _ in range(3)]
        await asyncio.to_thread(arrived.wait, 10)
        await client.aclose()
        return await asyncio.gather(*waiting, return_exceptions=True)

    arrived = threading.Event()

    def behave(_: object) -> Any:
        if len(wire.requests) > 1:
            return answer()
        arrived.set()
        return hang

    with Wire(behave) as wire:
        client = connect(wire.url, key.sid, key.secret, key.account)
        failed, *others = asyncio.run(close_among_them())
    assert isinstance(failed, TransportError)
    assert failed.sent
    assert others == [200, 200]


@pytest.mark.parametrize("how", ["cancel", "timeout", "group"])
def test_cancelled_in_the_middle(connect: Connect, key: Key, how: str) -> None:
    """It stays a cancellation; the connection is closed, and its turn is given to the next."""
    errors = []

    async def cancelled() -> int:
        client.http_client = AsyncTransport(emulator=wire.url, connections=1)
        for _ in range(3):
            arrived.clear()
            task = asyncio.create_task(status(client))
            await asyncio.to_thread(arrived.wait, 10)
            try:
                await end[how](task)
            except (asyncio.CancelledError, TimeoutError) as error:
                errors.append(error)
        wire.behave = lambda _: answer()
        got = await status(client)
        [kept] = sessions(client).values()
        assert not kept.session.connector._acquired
        assert sum(map(len, kept.session.connector._conns.values())) == 1
        return got

    async def cancel(task: asyncio.Task[int]) -> None:
        task.cancel()
        await task

    async def time_out(task: asyncio.Task[int]) -> None:
        async with asyncio.timeout(0.01):
            await task

    async def fail_a_group(task: asyncio.Task[int]) -> None:
        with contextlib.suppress(ExceptionGroup):
            async with asyncio.TaskGroup() as group:
                inner = group.create_task(_awaiting(task))
                group.create_task(_failing())
        errors.append(caught(inner.result))

    end = {"cancel": cancel, "timeout": time_out, "group": fail_a_group}
    arrived = threading.Event()

    def behave(_: object) -> Any:
        arrived.set()
        return hang

    with Wire(behave) as wire:
        client = connect(wire.url, key.sid, key.secret, key.account)
        assert asyncio.run(cancelled()) == 200
    assert len(errors) == 3
    for error in errors:
        assert isinstance(error, TimeoutError if how == "timeout" else asyncio.CancelledError)
        assert not isinstance(error, TransportError)
        assert Spotter(key.secret).in_error(_shorn(error)) == []


async def _awaiting(task: asyncio.Task[int]) -> int:
    return await task


async def _failing() -> None:
    raise ZeroDivisionError


def _shorn(error: BaseException) -> BaseException:
    """Take the frames of the test itself, which hold the key, off *error* and its causes."""
    link: BaseException | None = error
    while link is not None:
        trace = link.__traceback__
        while trace and trace.tb_frame.f_code.co_filename == __file__ and trace.tb_next:
            if trace.tb_frame.f_code.co_name == "status":
                break
            trace = trace.tb_next
        link.__traceback__ = trace
        link = link.__context__
    return error


def test_loop_that_ends_in_the_middle(connect: Connect, key: Key) -> None:
    """``asyncio.run`` cancels what is left and closes the rest."""

    async def leave() -> None:
        tasks.extend(asyncio.create_task(status(client)) for _ in range(3))
        await asyncio.to_thread(arrived.wait, 10)

    tasks: list[asyncio.Task[int]] = []
    arrived = threading.Event()

    def behave(_: object) -> Any:
        if len(wire.requests) == 3:
            arrived.set()
        return hang

    with Wire(behave) as wire:
        client = connect(wire.url, key.sid, key.secret, key.account)
        asyncio.run(leave())
    assert [each.cancelled() for each in tasks] == [True] * 3
    assert sessions(client) == {}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on Windows")
@pytest.mark.parametrize("loop", ["new", "inherited"])
def test_child_of_a_process_with_an_open_session(
    client: TwilioClient, wire: Wire, loop: str
) -> None:
    with asyncio.Runner() as runner:
        assert runner.run(status(client)) == 200
        child = os.fork()
        if not child:
            code = 1
            with contextlib.suppress(BaseException):
                run = runner.run if loop == "inherited" else asyncio.run
                code = 0 if run(status(client)) == 200 else 2
            os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert runner.run(status(client)) == 200
    assert len({request.peer for request in wire.requests}) == wire.connections
    assert wire.connections >= 2  # the child made one of its own
    assert wire.requests[0].peer != wire.requests[1].peer


PROGRAM = """
import asyncio, os, sys
from safetwilio.clients import Transport, TwilioClient
transport = Transport(emulator=os.environ.get("SAFETWILIO_EMULATOR"), timeout=10)
client = TwilioClient(os.environ["KEY"], os.environ["SECRET"], os.environ["ACCOUNT"],
                      http_client=transport)
async def main():
    got = await asyncio.gather(*(client.request_async("GET", "https://api.twilio.com/x")
                                 for _ in range(5)))
    print([each.status_code for each in got])
    if sys.argv[1] == "aclose":
        await client.aclose()
if sys.argv[1] == "bare":
    loop = asyncio.new_event_loop()
    loop.run_until_complete(main())
    loop.close()
else:
    asyncio.run(main())
transport.session.close()
"""


@pytest.mark.parametrize("ending", ["run", "aclose", "bare"])
@pytest.mark.parametrize("over", ["http", "tls"])
def test_silent_end_of_a_process(tmp_path: Path, key: Key, ending: str, over: str) -> None:
    with Wire() as wire:
        key = key if over == "http" else new_key()
        environment = {"KEY": key.sid, "SECRET": key.secret, "ACCOUNT": key.account}
        if over == "http":
            environment["SAFETWILIO_EMULATOR"] = wire.url
        else:
            environment |= {"HTTPS_PROXY": wire.url, "REQUESTS_CA_BUNDLE": str(CERTIFICATE)}
        strict = () if ending == "bare" else ("-X", "dev", "-W", "error")
        done = run_python(*strict, "-c", PROGRAM, ending, cwd=tmp_path, environment=environment)
    assert done.stdout == "[200, 200, 200, 200, 200]\n"
    # The debug mode says so when a call takes long, as the first one does: it loads aiohttp.
    said = [line for line in done.stderr.splitlines() if not line.startswith("Executing <")]
    assert said == []
    assert done.returncode == 0


def test_the_session_goes_with_the_client(connect: Connect, key: Key, wire: Wire) -> None:
    """A client that is dropped while the loop goes on leaves nothing open."""

    async def make_use_and_drop() -> None:
        client = connect(wire.url, key.sid, key.secret, key.account)
        client.http_client = AsyncTransport(emulator=wire.url)
        await status(client)
        [kept] = sessions(client).values()
        session = kept.session
        del client, kept
        gc.collect()
        while not session.closed:  # noqa: ASYNC110 - in a task of the loop's
            await asyncio.sleep(0)

    asyncio.run(make_use_and_drop())


def test_an_interrupted_program_ends_as_interrupted(connect: Connect, key: Key) -> None:
    with Wire(lambda _: close) as wire:
        client = connect(wire.url, key.sid, key.secret, key.account)

        async def interrupted() -> None:
            asyncio.get_running_loop().call_soon(_interrupt)
            await status(client)

        with pytest.raises(KeyboardInterrupt):
            asyncio.run(interrupted())


def _interrupt() -> None:
    raise KeyboardInterrupt
