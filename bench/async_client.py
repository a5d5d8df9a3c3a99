"""How long requests take under load: 1,000 coroutines and 200 threads, against plain Twilio.

All talk HTTP to the same emulator in another process. Times are to the answer, with the waiting for
a connection, of which both asynchronous clients have 100: in threads from the call, under asyncio
from the moment at which all were asked for. There a time from the call would leave out how long the
calls before it held up the loop; it is shown too, as *own*.
"""

# ruff: noqa: INP001 - a script

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from statistics import median, quantiles
from typing import TYPE_CHECKING, Any, NamedTuple

from common.report import heading, is_quick, line, table
from common.server import Served, emulator
from per_request import ToTheEmulator
from twilio.http.async_http_client import AsyncTwilioHttpClient
from twilio.rest import Client

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from twilio.http.response import Response

PLAIN, OURS = "twilio.rest.Client", "TwilioClient"
BLOCKS, QUICK_BLOCKS = 15, 3
COROUTINES, THREADS = 1000, 200
THREAD_REQUESTS = 5
MIXED_UP = 1000  # requests, for the answers that Twilio's client mixes up
MESSAGE = {"to": "+15005550006", "from_": "+15005550010", "body": "Your code is 123 456"}


class ToTheEmulatorAsync(AsyncTwilioHttpClient):
    """Twilio's asynchronous HTTP client, with every URL led to the emulator at *base*."""

    def __init__(self, base: str, **options: Any) -> None:
        """Take Twilio's *options*."""
        super().__init__(**options)
        self._base = base

    async def request(  # type: ignore[override]  # Twilio's signature, all of it passed on
        self, method: str, url: str, *args: Any, **kwargs: Any
    ) -> Response:
        """Send the request to the emulator, and the host it was meant for in a header."""
        host, _, path = url.removeprefix("https://").partition("/")
        kwargs["headers"]["Host"] = host
        return await super().request(method, f"{self._base}/{path}", *args, **kwargs)


class Block(NamedTuple):
    """What the requests of one block took, in milliseconds; *cpu* is this process's for each."""

    p50: float
    p99: float
    cpu: float
    own: float


class Taken(NamedTuple):
    """The seconds that one request took since it was asked for, and since its own call began."""

    asked: float
    own: float


def main() -> None:
    """Measure and print."""
    blocks = QUICK_BLOCKS if is_quick(__doc__) else BLOCKS
    warnings.simplefilter("ignore", DeprecationWarning)  # of aiohttp, about Twilio's client
    logging.getLogger("urllib3").setLevel(logging.ERROR)  # Twilio's pool is small, and says so
    with emulator() as served, asyncio.Runner() as runner:
        pair = (served.key_sid, served.secret, served.account_sid)
        os.environ.update(served.environment())
        ours = make_ours(pair)
        heading(f"Under load: {blocks} interleaved blocks, medians")
        http_client = runner.run(made_in_loop(served))
        plain = Client(*pair, http_client=http_client)  # type: ignore[no-untyped-call]
        rows = show(
            f"{COROUTINES} coroutines",
            measure(
                {PLAIN: plain, OURS: ours}, lambda each: runner.run(in_coroutines(each)), blocks
            ),
        )
        runner.run(http_client.close())
        plain = Client(*pair, http_client=ToTheEmulator(served.url))  # type: ignore[no-untyped-call]
        rows += show(f"{THREADS} threads", measure({PLAIN: plain, OURS: ours}, in_threads, blocks))
        wrong = [
            runner.run(mixed_up(each)) for each in (runner.run(made_in_loop(served, pair)), ours)
        ]
    head = ("p50 ms", "p99 ms", "CPU ms", "p50 ratio", "p99 ratio", "CPU ratio", "own p99 ratio")
    table(("", *head), rows)
    line(f"\n  Ratios are to {PLAIN}: the median of each round's own ratio. The emulator is one")
    line("  process of Python, and its share of each request is the same for both. Aim: 1.05.")
    line(f"  Answers to somebody else's request, of {MIXED_UP} at once: {wrong[0]} with Twilio's")
    line(f"  AsyncTwilioHttpClient(pool_connections=False), {wrong[1]} with {OURS}.")


def make_ours(pair: tuple[str, str, str]) -> Any:
    """Return safetwilio's client, which serves coroutines and threads alike."""
    from safetwilio.clients import TwilioClient

    return TwilioClient(*pair)


async def made_in_loop(served: Served, pair: tuple[str, str, str] | None = None) -> Any:
    """Return Twilio's HTTP client, which needs a loop to be made; with *pair* the whole client."""
    if pair is None:
        return ToTheEmulatorAsync(served.url)
    http_client = ToTheEmulatorAsync(served.url, pool_connections=False)
    return Client(*pair, http_client=http_client)  # type: ignore[no-untyped-call]


async def in_coroutines(client: Any) -> list[Taken]:
    """Send a block of messages from many coroutines, and return what each took."""
    asked = time.perf_counter()
    return await asyncio.gather(
        *(timed(client.messages.create_async(**MESSAGE), asked) for _ in range(COROUTINES))
    )


async def timed(work: Awaitable[object], asked: float) -> Taken:
    """Return what *work* took that was *asked* for then."""
    began = time.perf_counter()
    await work
    done = time.perf_counter()
    return Taken(done - asked, done - began)


def in_threads(client: Any) -> list[Taken]:
    """Send a block of messages from many threads that begin together; return what each took."""
    start = threading.Barrier(THREADS)

    def some(_: int) -> list[Taken]:
        taken = []
        start.wait()
        for _ in range(THREAD_REQUESTS):
            began = time.perf_counter()
            client.messages.create(**MESSAGE)
            taken.append(Taken(*[time.perf_counter() - began] * 2))
        return taken

    with ThreadPoolExecutor(THREADS) as pool:
        return [each for taken in pool.map(some, range(THREADS)) for each in taken]


async def mixed_up(client: Any) -> int:
    """Return how many of many requests at once got another's answer."""

    async def one(number: int) -> bool:
        body = f"number {number}"
        sent = await client.messages.create_async(**{**MESSAGE, "body": body})
        return bool(sent.body != body)

    return sum(await asyncio.gather(*(one(number) for number in range(MIXED_UP))))


def measure(
    clients: Mapping[str, Any], block: Callable[[Any], list[Taken]], rounds: int
) -> dict[str, list[Block]]:
    """Let each client do a *block* in each round, turn about, after one round to warm up."""
    taken: dict[str, list[Block]] = {name: [] for name in clients}
    for client in clients.values():
        block(client)
    for turn in range(rounds):
        for name in clients if turn % 2 else reversed(list(clients)):
            cpu = time.process_time()
            each = block(clients[name])
            cpu = (time.process_time() - cpu) / len(each)
            cuts = quantiles((one.asked for one in each), n=100)
            own = quantiles((one.own for one in each), n=100)[98]
            taken[name].append(Block(*(1000 * one for one in (cuts[49], cuts[98], cpu, own))))
    return taken


def show(what: str, taken: Mapping[str, Sequence[Block]]) -> list[list[str]]:
    """Return the rows of one kind of load."""
    rows = []
    for name, blocks in taken.items():
        p50, p99, cpu, _ = (median(column) for column in zip(*blocks, strict=True))
        figures = [f"{p50:.0f}", f"{p99:.0f}", f"{cpu:.2f}"]
        pairs = list(zip(blocks, taken[PLAIN], strict=True))
        ratios = [
            f"{median(mine.p50 / plain.p50 for mine, plain in pairs):.3f}",
            f"{median(mine.p99 / plain.p99 for mine, plain in pairs):.3f}",
            f"{median(mine.cpu / plain.cpu for mine, plain in pairs):.3f}",
            f"{median(mine.own / plain.own for mine, plain in pairs):.3f}",
        ]
        rows.append([f"{what}: {name}", *figures, *([""] * 4 if name == PLAIN else ratios)])
    return rows


if __name__ == "__main__":
    main()
