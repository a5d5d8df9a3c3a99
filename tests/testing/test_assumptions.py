"""The page about the assumptions says what the code says.

``python tests/testing/test_assumptions.py`` writes docs/assumptions.md, with what ``nox -s live``
saw, if anybody ran it.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

from safetwilio.testing.assumptions import ASSUMPTIONS, Assumption, choose, every_choice

TESTS = Path(__file__).parent
sys.path.append(str(TESTS.parent))  # pytest has it there; the script has not

from live.results import PROBES, read, who  # noqa: E402
from live.unobserved import UNOBSERVED  # noqa: E402

PAGE = TESTS.parents[1] / "docs" / "assumptions.md"

INTRODUCTION = """\
% Written by `python tests/testing/test_assumptions.py` from safetwilio.testing.assumptions.

# What nobody has confirmed

No live account was asked while the emulator was built. What it does comes from Twilio's
documentation, its OpenAPI files and answers that others published; each place in the code names its
source. What is left is a switch: `Emulator(assumptions={{"suspended_status": 403}})` takes another
choice than the default, and `every_choice()` gives all of them, one at a time ([](testing.md)).

The status says how well the default is known.

no source
: nothing was found that speaks of it.

inferred
: it follows from a source that does not say so itself.

sources differ
: there is a source for more than one choice.

emulator's own
: it is about the emulator, not about Twilio.

{live}

| Name | What it decides | Choices | Default | Status | Source |{head}
|---|---|---|---|---|---|{rule}
"""
LIVE = """\
`nox -s live` asks Twilio itself about {probes} of these {all}
([how](testing.md#ask-twilio-itself)).
{run}"""
UNOBSERVED_TABLE = """
## What asking Twilio does not tell

| Name | Why not |
|---|---|
"""
PROBED_TABLE = """
## What asking Twilio tells

| Name | With | What is done |
|---|---|---|
"""


def page(seen: dict[str, dict[str, Any]]) -> str:
    """Return docs/assumptions.md as it is to be, with what was *seen* of Twilio."""
    run = "Nobody has done so yet: the probes are proved against the emulator only."
    if seen:
        run = "The last column is what it saw, and when."
    live = LIVE.format(probes=len(PROBES), all=len(ASSUMPTIONS), run=run)
    head, rule = (" Twilio |", "---|") if seen else ("", "")
    rows = [_row(each, seen) for each in ASSUMPTIONS]
    probed = [f"| `{name}` | {who(each)} | {each.asks} |\n" for name, each in PROBES.items()]
    unobserved = [f"| `{name}` | {why} |\n" for name, why in UNOBSERVED.items()]
    return "".join(
        [
            INTRODUCTION.format(live=live, head=head, rule=rule),
            *rows,
            *(PROBED_TABLE, *probed),
            *(UNOBSERVED_TABLE, *unobserved),
        ]
    )


def _row(each: Assumption, seen: dict[str, dict[str, Any]]) -> str:
    choices = ", ".join(f"`{choice}`" for choice in each.choices)
    source = re.sub(r"\b(?:https://|github\.com/)[\w./-]+\b", _link, each.source)
    cells = (f"`{each.name}`", each.about, choices, f"`{each.default}`", each.status, source)
    if seen:
        here = seen.get(each.name)
        cells = (*cells, f"`{here['choice']}`, {here['on']}" if here else "")
    return "| " + " | ".join(cells) + " |\n"


def _link(found: re.Match[str]) -> str:
    address = found[0].removeprefix("https://")
    return f"[{address.removeprefix('www.').removeprefix('github.com/')}](https://{address})"


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text("utf-8") == page(read()), "run python tests/testing/test_assumptions.py"


def test_what_was_seen_of_twilio_is_shown() -> None:
    seen = {"geo_needs": {"choice": "token", "on": "2031-02-03"}}
    [row] = [line for line in page(seen).splitlines() if "`geo_needs`" in line][:1]
    assert row.endswith("| `token`, 2031-02-03 |")
    assert "Nobody has done so" in page({})
    assert "Nobody has done so" not in page(seen)
    assert "2031-02-03" not in page({})


def test_each_assumption_has_a_test_of_its_own() -> None:
    sources = [path.read_text("utf-8") for path in TESTS.glob("test_*.py")]
    named = re.compile(r'assumptions(?:=\{|\[)"(\w+)"')
    tested = {name for text in sources for name in named.findall(text)}
    assert {each.name for each in ASSUMPTIONS} - tested == set()


def test_each_default_is_a_choice_and_each_choice_can_be_made() -> None:
    assert all(each.default in each.choices for each in ASSUMPTIONS)
    assert all(choose(overrides) for overrides in every_choice())
    assert len(every_choice()) == 1 + sum(len(each.choices) - 1 for each in ASSUMPTIONS)


if __name__ == "__main__":
    PAGE.write_text(page(read()), "utf-8")
