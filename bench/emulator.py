"""How fast the emulator answers, in process and over HTTP, and how much memory it takes."""

# ruff: noqa: INP001 - a script

from __future__ import annotations

import base64
import http.client
import time
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from common.report import heading, is_quick, line, table
from common.server import Served, emulator

from safetwilio.testing import Emulator
from safetwilio.testing.exchange import EmulatedRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

HOST = "api.twilio.com"
FORM = urlencode({"To": "+15005550006", "From": "+15005550010", "Body": "Your code is 123 456"})
BLOCKS, QUICK_BLOCKS = 21, 3
REQUESTS = 200  # in a block
CREATED = 201
CONNECTIONS = 8


def main() -> None:
    """Measure and print."""
    blocks = QUICK_BLOCKS if is_quick(__doc__) else BLOCKS
    heading(f"Emulator: messages created, {blocks} blocks of {REQUESTS}, medians")
    memory, kept = in_process_memory()
    with emulator() as served:
        rows = [
            ("in process", *figures(blocks, in_process())),
            ("HTTP, one connection", *figures(blocks, one_connection(served))),
            (f"HTTP, {CONNECTIONS} connections", *figures(blocks, many_connections(served))),
        ]
        peak = peak_memory(served.process)
    table(("", "requests/s", "µs each"), rows)
    line(f"\n  The server's process: {peak}; one message with its request in the journal")
    line(f"  keeps {kept / 1024:.1f} KiB (tracemalloc, mean of {memory} in process).")


def figures(blocks: int, block: Callable[[], int]) -> list[str]:
    """Return requests a second and microseconds per request over *blocks*."""
    each = []
    block()
    for _ in range(blocks):
        began = time.perf_counter()
        count = block()
        each.append((time.perf_counter() - began) / count)
    return [f"{1 / median(each):.0f}", f"{1e6 * median(each):.0f}"]


def in_process() -> Callable[[], int]:
    """Return a block of calls of ``Emulator.handle``."""
    fresh = Emulator()
    request = creation(fresh)

    def block() -> int:
        for _ in range(REQUESTS):
            if fresh.handle(request).status != CREATED:
                raise RuntimeError
        return REQUESTS

    return block


def one_connection(served: Served) -> Callable[[], int]:
    """Return a block of requests over one connection that stays open."""
    port = int(served.url.rpartition(":")[2])
    connection = http.client.HTTPConnection("127.0.0.1", port)
    path = f"/2010-04-01/Accounts/{served.account_sid}/Messages.json"
    headers = authorized(served.key_sid, served.secret)

    def block() -> int:
        for _ in range(REQUESTS):
            connection.request("POST", path, FORM, {**headers, "Host": HOST})
            with connection.getresponse() as answer:
                answer.read()
            if answer.status != CREATED:
                raise RuntimeError
        return REQUESTS

    return block


def many_connections(served: Served) -> Callable[[], int]:
    """Return a block of requests over several connections at once."""
    blocks = [one_connection(served) for _ in range(CONNECTIONS)]

    def block() -> int:
        with ThreadPoolExecutor(CONNECTIONS) as pool:
            return sum(pool.map(lambda one: one(), blocks))

    return block


def in_process_memory() -> tuple[int, float]:
    """Return a number of messages, and the bytes that the emulator keeps for each."""
    fresh = Emulator()
    request = creation(fresh)
    count = 2 * REQUESTS
    fresh.handle(request)
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    for _ in range(count):
        fresh.handle(request)
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return count, (after - before) / count


def peak_memory(process: int) -> str:
    """Return the peak of resident memory of *process*, where the system says it (Linux)."""
    try:
        status = Path(f"/proc/{process}/status").read_text("ascii")
    except OSError:
        return "peak memory not known on this system"
    peak = next(each for each in status.splitlines() if each.startswith("VmHWM:"))
    return f"{int(peak.split()[1]) / 1024:.0f} MiB at most"


def creation(at: Emulator) -> EmulatedRequest:
    """Return the request that creates a message *at* its seeded account."""
    headers: Mapping[str, str] = authorized(at.standard_key.sid, at.standard_key.secret)
    return EmulatedRequest(
        method="POST",
        host=HOST,
        path=f"/2010-04-01/Accounts/{at.account.sid}/Messages.json",
        query=(),
        headers={name.lower(): value for name, value in headers.items()},
        body=FORM.encode(),
    )


def authorized(user: str, secret: str) -> dict[str, str]:
    """Return the headers of a form sent with *user* and *secret*."""
    pair = base64.b64encode(f"{user}:{secret}".encode()).decode("ascii")
    return {
        "Authorization": f"Basic {pair}",
        "Content-Type": "application/x-www-form-urlencoded",
    }


if __name__ == "__main__":
    main()
