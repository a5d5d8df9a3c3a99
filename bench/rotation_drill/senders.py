"""Programs that send until they are told to stop, and write down what became of each message.

A parent boots and forks four workers of eight threads each; a fifth process sends from asyncio.
"""

# ruff: noqa: INP001 - a script

from __future__ import annotations

import asyncio
import json
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

import safetwilio

WORKERS, THREADS, COROUTINES = 4, 8, 8
PAUSE = 0.2  # seconds between two messages of a sender: 40 senders make 200 in a second
MESSAGE = {"to": "+15551230001", "from_": "+15551230000"}


def main(folder: Path) -> None:
    """Fork the workers, and wait for them."""
    safetwilio.boot()
    children = []
    for number in range(WORKERS + 1):
        child = os.fork()
        if child:
            children.append(child)
            continue
        code = 1
        try:
            work(number, folder)
            code = 0
        finally:
            os._exit(code)
    ended = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    sys.exit(max(ended))


def work(number: int, folder: Path) -> None:
    """Send until there is a file ``stop``."""
    sent: list[tuple[str, float, float, str | None]] = []
    (folder / f"{number}.ready").touch()
    if number == WORKERS:
        asyncio.run(_send_async(folder, sent))
    else:
        threads = [
            threading.Thread(target=_send, args=(f"{number}-{each}", folder, sent))
            for each in range(THREADS)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    (folder / f"{number}.json").write_text(json.dumps(sent), encoding="utf-8")


def _send(name: str, folder: Path, sent: list[Any]) -> None:
    client = safetwilio.get_client()
    count = 0
    while not (folder / "stop").exists():
        count += 1
        body = f"{folder.name} {name}-{count}"
        began, error = time.time(), None
        try:
            client.messages.create(**MESSAGE, body=body)
        except Exception as failure:  # noqa: BLE001 - whatever it is, it is written down
            error = f"{type(failure).__name__}: {failure}"
        sent.append((body, began, time.time(), error))
        time.sleep(max(0.0, began + PAUSE - time.time()))


async def _send_async(folder: Path, sent: list[Any]) -> None:
    client = safetwilio.get_client()

    async def go(name: str) -> None:
        count = 0
        while not (folder / "stop").exists():
            count += 1
            body = f"{folder.name} {name}-{count}"
            began, error = time.time(), None
            try:
                await client.messages.create_async(**MESSAGE, body=body)
            except Exception as failure:  # noqa: BLE001 - as above
                error = f"{type(failure).__name__}: {failure}"
            sent.append((body, began, time.time(), error))
            await asyncio.sleep(max(0.0, began + PAUSE - time.time()))

    await asyncio.gather(*(go(f"async-{each}") for each in range(COROUTINES)))
    await client.aclose()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
