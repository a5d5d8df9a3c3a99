"""No piece of a secret is left in any form, text or stream: as many cases as one has time for.

20,000 in a test run; ``REDACTION_CASES=1000000`` takes so many. The seed follows from
pytest-randomly's, which is printed at the start: ``--randomly-seed=N`` makes the same cases again.
"""

from __future__ import annotations

import os
import random
from typing import TYPE_CHECKING

import pytest
from cases import (
    CASES_PER_WORLD,
    FORMS,
    WAYS,
    WHOLE,
    WRITERS,
    World,
    as_bytes,
    as_bytes_in_pieces,
    as_str,
    encoded,
    failures,
    make_case,
    off,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from safetwilio.redaction import engine, forms, grams, patterns, wrapping

if TYPE_CHECKING:
    from collections.abc import Callable

CASES = int(os.environ.get("REDACTION_CASES", "20000"))


def new_seed() -> int:
    return random.randrange(10**6)  # noqa: S311


@pytest.mark.timeout(7200)
def test_no_piece_of_a_secret_is_left() -> None:
    seed = new_seed()
    print(f"seed {seed}, {CASES} cases")  # noqa: T201
    found = failures(seed, CASES, WAYS)
    assert found == [], f"{len(found)} of {CASES} with seed {seed}"


@settings(max_examples=60, suppress_health_check=list(HealthCheck))
@given(rng=st.randoms(use_true_random=False))
def test_no_piece_of_a_secret_is_left_in_the_smallest_case(rng: random.Random) -> None:
    """The same cases, from Hypothesis, which shrinks the one that fails."""
    world = World(rng)
    world.register()
    case = make_case(rng, world)
    whole = as_bytes(rng, case.text)
    assert world.left(case, whole) == []
    assert as_str(rng, case.text) == whole
    assert as_bytes_in_pieces(rng, case.text) == whole


@pytest.mark.parametrize("form", [*FORMS, "named"])
def test_without_redaction_the_check_finds_every_case(form: str) -> None:
    rng = random.Random(f"{new_seed()}")  # noqa: S311
    for _ in range(40):
        world = World(rng)
        case = make_case(rng, world, form)
        assert world.left(case, off(rng, case.text)), case


@pytest.mark.parametrize("form", [form for form in FORMS if form != "raw"])
def test_the_check_finds_what_replacing_the_value_leaves(form: str) -> None:
    rng = random.Random(f"{new_seed()}")  # noqa: S311

    def leaves_some() -> bool:
        world = World(rng)
        case = make_case(rng, world, form)
        text = case.text
        for value in world.values:
            text = text.replace(value, "***")
        return bool(world.left(case, encoded(text)))

    assert any(leaves_some() for _ in range(1000))


ALL_FORMS = forms.all_forms
BROKEN: dict[str, tuple[object, str, object]] = {
    "no base64": (forms, "base64_cores", lambda _: set()),
    "the first alignment only": (
        grams,
        "all_forms",
        lambda v: [
            f for f in ALL_FORMS(v) if f.text not in list(forms.base64_cores(v.encode()))[1:]
        ],
    ),
    "no hex": (grams, "all_forms", lambda v: [f for f in ALL_FORMS(v) if max(f.least) != 24]),
    "no other case": (forms, "_other_case", lambda _: set()),
    "nothing written": (forms, "_escaped", lambda _: []),
    "fragments of 13": (
        engine.Matcher,
        "_chains",
        lambda self, data, places, do=engine.Matcher._chains: (
            (b, e, shown, hidden and e - b > 12) for b, e, shown, hidden in do(self, data, places)
        ),
    ),
    "no wrapped lines": (wrapping, "unwrapped", lambda data, **_: (data, wrapping.Places([]))),
    "nothing held back": (engine.Matcher, "unfinished", lambda _, data: len(data)),
    "no names": (patterns, "may_name_a_secret", lambda *_: False),
}


@pytest.mark.parametrize("what", BROKEN)
def test_the_check_finds_what_a_broken_engine_leaves(
    what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner, name, broken = BROKEN[what]
    monkeypatch.setattr(owner, name, broken)
    seed = new_seed()
    assert any(failures(seed + n, 4 * CASES_PER_WORLD, WAYS) for n in range(20)), what


@pytest.mark.parametrize("name", WRITERS)
def test_the_check_writes_as_the_libraries_do(name: str) -> None:
    for value in ("a'b c/d", 'a"b\\c+é', "both ' and \" \n&<😀>", "plain"):
        write: Callable[[str], str] = WHOLE[name]
        if not (name == "shell" and value == "plain"):  # it is not quoted, then
            assert "".join(WRITERS[name](value)) == write(value)
