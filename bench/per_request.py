"""What a request costs the client: safetwilio's against plain ``twilio.rest.Client``.

Both talk HTTP to the same emulator in another process. Both have to lead Twilio's URLs there:
safetwilio's transport does it itself, for the plain client a subclass of Twilio's HTTP client.
"""

# ruff: noqa: INP001 - a script

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from statistics import median
from typing import TYPE_CHECKING, Any, NamedTuple

from common.report import heading, is_quick, line, table
from common.server import Served, emulator
from twilio.http.http_client import TwilioHttpClient
from twilio.rest import Client

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from twilio.http.response import Response

PLAIN, OURS, IMPORTED = "twilio.rest.Client", "TwilioClient", "safetwilio.client"
BLOCKS, QUICK_BLOCKS = 121, 11
REQUESTS = 25  # in a block: short ones, so that other load on the machine meets all alike
THREADS = 16
THREADED_REQUESTS = 320  # in a block, all threads together


class ToTheEmulator(TwilioHttpClient):
    """Twilio's HTTP client, with every URL led to the emulator at *base*."""

    def __init__(self, base: str) -> None:
        """Pool connections to the emulator as Twilio's client pools those to Twilio."""
        super().__init__()
        self._base = base
        if self.session is not None:
            self.session.mount("http://", self.session.get_adapter("https://"))

    def request(  # type: ignore[override]  # Twilio's signature, all of it passed on
        self, method: str, url: str, *args: Any, **kwargs: Any
    ) -> Response:
        """Send the request to the emulator, and the host it was meant for in a header."""
        host, _, path = url.removeprefix("https://").partition("/")
        kwargs["headers"]["Host"] = host
        return super().request(method, f"{self._base}/{path}", *args, **kwargs)


class Block(NamedTuple):
    """What one block of requests took, per request, in microseconds."""

    cpu: float
    wall: float


def main() -> None:
    """Measure and print."""
    blocks = QUICK_BLOCKS if is_quick(__doc__) else BLOCKS
    with emulator() as served:
        clients = make_clients(served)
        sid = clients[PLAIN].messages.create(to="+15005550006", from_="+15005550010", body="hi").sid
        heading(f"Requests: {blocks} interleaved blocks of {REQUESTS}, medians")
        rows: list[list[str]] = []
        for name, work in (("messages.create", create), ("messages(sid).fetch", fetch)):
            rows += show(name, measure(clients, partial(one_by_one, work, sid), blocks))
        blocks = max(5, blocks // 4)
        threaded = measure(clients, partial(in_threads, sid), blocks)
        rows += show(f"create, {THREADS} threads", threaded)
    table(("", "CPU µs", "wall µs", "requests/s", "CPU ratio", "throughput ratio"), rows)
    line(f"\n  CPU is this process's, per request. Ratios are to {PLAIN}: the median of each")
    line(f"  round's own ratio. With threads: {blocks} blocks of {THREADED_REQUESTS} requests; the")
    line("  emulator, one process of Python, may then be what limits the throughput.")
    line("  Aim: CPU ratio at most 1.05.")


def make_clients(served: Served) -> dict[str, Any]:
    """Return the three candidates, with the same key."""
    os.environ.update(served.environment())
    import safetwilio
    from safetwilio.clients import TwilioClient

    pair = (served.key_sid, served.secret, served.account_sid)
    return {
        PLAIN: Client(*pair, http_client=ToTheEmulator(served.url)),  # type: ignore[no-untyped-call]
        OURS: TwilioClient(*pair),
        IMPORTED: safetwilio.client,
    }


def create(client: Any, _: str) -> None:
    """Send one message."""
    client.messages.create(to="+15005550006", from_="+15005550010", body="Your code is 123 456")


def fetch(client: Any, sid: str) -> None:
    """Read one message."""
    client.messages(sid).fetch()


def one_by_one(work: Callable[[Any, str], None], sid: str, client: Any) -> int:
    """Do *work* a block long, and return how often that was."""
    for _ in range(REQUESTS):
        work(client, sid)
    return REQUESTS


def in_threads(sid: str, client: Any) -> int:
    """Send a block of messages from many threads, and return how many."""

    def some(_: int) -> None:
        for _ in range(THREADED_REQUESTS // THREADS):
            create(client, sid)

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(some, range(THREADS)))
    return THREADED_REQUESTS


def measure(
    clients: Mapping[str, Any], block: Callable[[Any], int], rounds: int
) -> dict[str, list[Block]]:
    """Let each client do a *block* in each round, turn about, after one round to warm up."""
    taken: dict[str, list[Block]] = {name: [] for name in clients}
    for client in clients.values():
        block(client)
    for turn in range(rounds):
        for name in clients if turn % 2 else reversed(list(clients)):
            wall, cpu = time.perf_counter(), time.process_time()
            count = block(clients[name])
            cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
            taken[name].append(Block(1e6 * cpu / count, 1e6 * wall / count))
    return taken


def show(what: str, taken: Mapping[str, Sequence[Block]]) -> list[list[str]]:
    """Return the rows of one kind of request."""
    rows = []
    for name, blocks in taken.items():
        wall = median(b.wall for b in blocks)
        figures = [f"{median(b.cpu for b in blocks):.0f}", f"{wall:.0f}", f"{1e6 / wall:.0f}"]
        pairs = list(zip(blocks, taken[PLAIN], strict=True))
        ratios = [
            f"{median(mine.cpu / plain.cpu for mine, plain in pairs):.3f}",
            f"{median(plain.wall / mine.wall for mine, plain in pairs):.3f}",
        ]
        rows.append([f"{what}: {name}", *figures, *(["", ""] if name == PLAIN else ratios)])
    return rows


if __name__ == "__main__":
    main()
