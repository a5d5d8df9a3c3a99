"""Every way out of a process, times every spelling of a secret: `nox -s leaks` prints the table.

`leak_matrix.py ORDER` is one run, as JSON: redaction is installed ``before`` the libraries are
imported, ``after`` they are set up, or ``never``, which shows that the ways are open. ``usual`` is
what one does without it: a filter with a regular expression, and Sentry's own scrubber.
"""

from __future__ import annotations

import base64
import json
import secrets
import string
import subprocess
import sys
from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Mapping

ORDERS = ("before", "after", "never")
USUAL = "usual"
WINDOW = 20  # so many characters in a row are a leak
Table = dict[str, dict[str, str]]


def made_up() -> tuple[str, str]:
    """Return a key's SID and its secret."""
    letters = string.ascii_letters + string.digits
    return "SK" + secrets.token_hex(16), "".join(secrets.choice(letters) for _ in range(32))


def spellings(sid: str, secret: str) -> dict[str, str]:
    """Return the texts that are sent, by the name of the spelling."""
    pair = f"{sid}:{secret}"
    unknown = "AC" + secrets.token_hex(16)
    return {
        "raw": f"secret={secret};",
        "URL": f"https://{quote(pair)}@api.twilio.com/Keys/{sid}.json",
        "JSON": json.dumps({"a": f"\n{secret}\u00e9", "b": pair}),
        "repr": repr([secret.encode(), {"k": pair}]),
        "glued": f"%3A{secret}%2F x{secret}y {secret}{secret} \x1b[31m{secret}\x1b[0m",
        "Basic": f"Basic {base64.b64encode(pair.encode()).decode()}",
        "base64+1": base64.b64encode(f"x{secret}yz".encode()).decode(),
        "base64+2": base64.urlsafe_b64encode(f"xy{secret}z".encode()).decode(),
        "hex": secret.encode().hex(),
        "unknown SID": f"/{unknown}/",
    }


def forms(text: str, sid: str, secret: str) -> list[str]:
    """Return what must not come out when *text* is sent."""
    raw = [sid, secret, secret.encode().hex()]
    raw += [base64.b64encode(b"x" * n + secret.encode()).decode()[4:40] for n in range(3)]
    raw += [text[at : at + 34] for at in range(len(text)) if text[at : at + 2] in {"AC", "SK"}]
    return [form for form in raw if form in text]


def verdict(output: str, wanted: list[str]) -> str:
    """Return whether *output* leaks, masks, or shows nothing of the text that was sent."""
    pieces = {form[at : at + WINDOW] for form in wanted for at in range(len(form) - WINDOW + 1)}
    if any(piece in output for piece in pieces):
        return "leak"
    return "ok" if "[TWILIO:" in output or "%5BTWILIO%3A" in output else "nothing"


def do_the_usual(sid: str, secret: str) -> None:
    """Filter the root logger and its handlers, and let Sentry scrub all it can."""
    import logging
    import re

    import ways

    pattern = re.compile(rf"(?:AC|SK)[0-9a-f]{{32}}|{sid}|{secret}")

    class Filter(logging.Filter):
        def filter(self, record: logging.LogRecord) -> bool:
            if isinstance(record.msg, str):
                record.msg, record.args = pattern.sub("[TWILIO:masked]", record.getMessage()), ()
            return True

    logging.getLogger().addFilter(Filter())
    ways.LOG_FILTERS.append(Filter())
    ways.SENTRY_SCRUBS.append(True)


def run(order: str) -> Table:
    """Send every spelling over every way, and return the verdicts."""
    from ways import SERVERS, WAYS

    from safetwilio import redaction

    sid, secret = made_up()
    redaction.register(secret, "secret")
    redaction.register(sid, "key")
    if order == "before":
        redaction.install(strict=True)
    if order == USUAL:
        do_the_usual(sid, secret)
    ways = {name: make() for name, make in WAYS.items()}
    for each in ways.values():
        next(each)
    if order == "after":
        redaction.install(strict=True)
    texts = spellings(sid, secret)
    table = {
        name: {
            spelling: verdict(each.send(text), forms(text, sid, secret))
            for spelling, text in texts.items()
        }
        for name, each in ways.items()
    }
    for each in ways.values():
        each.close()
    for server in SERVERS.values():
        server.stop()
    if order in {"before", "after"}:
        bad = [h for h in redaction.health() if h.state != "active" and h.name != "streams"]
        assert not bad, bad
    return table


def run_apart(order: str) -> Table:
    """Return the verdicts of a process of its own."""
    done = subprocess.run(
        [sys.executable, __file__, order], capture_output=True, text=True, timeout=300, check=False
    )
    if done.returncode:
        raise RuntimeError(done.stderr)
    table: Table = json.loads(done.stdout.splitlines()[-1])
    return table


def count(table: Mapping[str, Mapping[str, str]], verdict: str) -> int:
    """Return how many cells are *verdict*."""
    return sum(cell == verdict for row in table.values() for cell in row.values())


def report() -> int:
    """Print the table in Markdown, and return how many cells leak with redaction."""
    columns = (*ORDERS, USUAL)
    tables = {order: run_apart(order) for order in columns}
    print("| Leaks of | installed before | installed after | without | filter and EventScrubber |")  # noqa: T201
    print("|---|---|---|---|---|")  # noqa: T201
    for name, row in tables["never"].items():
        cells = [count({name: tables[order][name]}, "leak") for order in columns]
        print(f"| {name} | {' | '.join(f'{n} of {len(row)}' for n in cells)} |")  # noqa: T201
    leaks = sum(count(tables[order], "leak") for order in ORDERS[:2])
    lost = sum(count(tables[order], "nothing") for order in ORDERS[:2])
    print(f"\n{leaks} leaks with redaction, {count(tables['never'], 'leak')} without.")  # noqa: T201
    return leaks + lost


if __name__ == "__main__":
    if sys.argv[1:]:
        print(json.dumps(run(sys.argv[1])))  # noqa: T201
    else:
        sys.exit(1 if report() else 0)
