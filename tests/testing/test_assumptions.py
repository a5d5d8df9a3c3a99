"""The page about the assumptions says what the code says.

``python tests/testing/test_assumptions.py`` writes docs/assumptions.md.
"""

from __future__ import annotations

import re
from pathlib import Path

from safetwilio.testing.assumptions import ASSUMPTIONS, Assumption, choose, every_choice

TESTS = Path(__file__).parent
PAGE = TESTS.parents[1] / "docs" / "assumptions.md"

INTRODUCTION = """\
% Written by `python tests/testing/test_assumptions.py` from safetwilio.testing.assumptions.

# What nobody has confirmed

No live account was asked while the emulator was built. What it does comes from Twilio's
documentation, its OpenAPI files and answers that others published; each place in the code names its
source. What is left is a switch: `Emulator(assumptions={"suspended_status": 403})` takes another
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

| Name | What it decides | Choices | Default | Status | Source |
|---|---|---|---|---|---|
"""


def page() -> str:
    """Return docs/assumptions.md as it is to be."""
    return INTRODUCTION + "".join(map(_row, ASSUMPTIONS))


def _row(each: Assumption) -> str:
    choices = ", ".join(f"`{choice}`" for choice in each.choices)
    source = re.sub(r"\b(?:https://|github\.com/)[\w./-]+\b", _link, each.source)
    cells = (f"`{each.name}`", each.about, choices, f"`{each.default}`", each.status, source)
    return "| " + " | ".join(cells) + " |\n"


def _link(found: re.Match[str]) -> str:
    address = found[0].removeprefix("https://")
    return f"[{address.removeprefix('www.').removeprefix('github.com/')}](https://{address})"


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text("utf-8") == page(), "run python tests/testing/test_assumptions.py"


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
    PAGE.write_text(page(), "utf-8")
