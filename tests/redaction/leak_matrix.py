"""The ways out of a process, times the spellings of a secret: `nox -s leaks` prints the table.

`leak_matrix.py ORDER` is one run, as JSON: redaction is installed ``before`` the libraries are
imported, ``after`` they are set up, or ``never``, which shows that the ways are open. Any other
order is a column of ``peers.py``: what one does without safetwilio.
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
    """Return whether *output* leaks, masks, shows something other, or nothing at all."""
    pieces = {form[at : at + WINDOW] for form in wanted for at in range(len(form) - WINDOW + 1)}
    if any(piece in output for piece in pieces):
        return "leak"
    if "[TWILIO:" in output or "%5BTWILIO%3A" in output:
        return "ok"
    return "other" if output.strip() else "nothing"


def run(order: str) -> Table:
    """Send every spelling over every way, and return the verdicts."""
    from peers import COLUMNS
    from ways import SERVERS, WAYS, in_use

    from safetwilio import redaction

    sid, secret = made_up()
    redaction.register(secret, "secret")
    redaction.register(sid, "key")
    if order == "before":
        redaction.install(strict=True)
    if order not in ORDERS:
        in_use.append(COLUMNS[order](sid, secret))
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


def cells(table: Mapping[str, Mapping[str, str]]) -> int:
    """Return how many cells there are."""
    return sum(map(len, table.values()))


def of_all(table: Mapping[str, Mapping[str, str]]) -> str:
    """Return how many cells leak, of how many."""
    return f"{count(table, 'leak')} of {cells(table)}"


def shown(row: Mapping[str, str], *, claimed: bool) -> str:
    """Return what the table says of one way and one column."""
    lost = set(row.values()) == {"nothing"}
    text = "lost" if lost else str(count({"": row}, "leak"))
    return text if claimed else f"({text})"


def report() -> int:
    """Print the table in Markdown, and return how many cells are not as they should be."""
    from peers import COLUMNS

    tables = {order: run_apart(order) for order in (*ORDERS, *COLUMNS)}
    every = frozenset(tables["never"])
    claims = {o: COLUMNS[o].claims if o in COLUMNS else None for o in tables}
    heads = [
        "installed before",
        "installed after",
        "without",
        *(c.head() for c in COLUMNS.values()),
    ]
    rows = [["Leaks", *heads], ["---"] * (len(heads) + 1)]
    for name in tables["never"]:
        claimed = {order: name in (claims[order] or every) for order in tables}
        texts = (shown(tables[order][name], claimed=claimed[order]) for order in tables)
        rows.append([name, *texts])
    rows.append(["all", *(of_all(table) for table in tables.values())])
    parts = ({name: t[name] for name in claims[order] or every} for order, t in tables.items())
    rows.append(["those not in parentheses", *map(of_all, parts)])
    print("\n".join(f"| {' | '.join(row)} |" for row in rows))  # noqa: T201
    wanted = {"before": "ok", "after": "ok", "never": "leak"}
    return sum(cells(tables[o]) - count(tables[o], verdict) for o, verdict in wanted.items())


if __name__ == "__main__":
    if sys.argv[1:]:
        print(json.dumps(run(sys.argv[1])))  # noqa: T201
    else:
        sys.exit(1 if report() else 0)
