"""A plan as people read it and as JSON: what is done, what can be undone, and by whom."""

from __future__ import annotations

import json

from safetwilio.runbook.plans import Plan, Step

MAKE = Step("make", "make a key", "a Main key", "safetwilio rotate key --roll-back")
LOOK = Step("look", "look at the key", "nobody", changes=False)
DELETE = Step("delete", "delete the old key", "a Main key")
STEPS = (MAKE, LOOK, DELETE)


def test_a_new_plan() -> None:
    plan = Plan("rotate key", STEPS, (("a Main key", "the key of x"),), ("it is 3 days old",))
    assert list(plan.lines()) == [
        "Plan: rotate key",
        "  1. make a key",
        "     undone by safetwilio rotate key --roll-back",
        "  2. look at the key",
        "  3. delete the old key",
        "     cannot be undone",
        "  needs a Main key: the key of x",
        "  note: it is 3 days old",
    ]


def test_a_plan_that_is_gone_on_with_says_what_is_done() -> None:
    plan = Plan("rotate key", STEPS, resumes="one", done=frozenset({"make", "look"}))
    assert list(plan.lines()) == [
        "Plan: go on with rotate key, run one",
        "  1. done: make a key",
        "  2. done: look at the key",
        "  3. delete the old key",
        "     cannot be undone",
    ]


def test_the_same_as_json() -> None:
    plan = Plan("rotate key", STEPS, (("x", "y"),), ("n",), "one", frozenset({"make"}))
    made = plan.as_dict()
    assert json.loads(json.dumps(made)) == made
    assert made["verb"] == "rotate key"
    assert made["run"] == "one"
    assert made["identities"] == {"x": "y"}
    assert made["notes"] == ["n"]
    assert made["steps"][0] == {
        "name": "make",
        "does": "make a key",
        "needs": "a Main key",
        "undo": "safetwilio rotate key --roll-back",
        "changes": True,
        "done": True,
    }
    assert [step["undo"] for step in made["steps"]] == [MAKE.undo, None, None]
    assert [step["done"] for step in made["steps"]] == [True, False, False]


def test_a_plan_of_nothing() -> None:
    assert list(Plan("rotate key", ()).lines()) == ["Plan: rotate key"]
    assert Plan("rotate key", ()).as_dict()["run"] is None
