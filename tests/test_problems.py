"""How problems read: the headline alone, the whole report, JSON."""

from __future__ import annotations

import json

from safetwilio.problems import (
    DOCS_URL,
    Attempt,
    Problem,
    command,
    faults,
    for_account,
    headline,
    render,
    render_one,
)

FAULT = Problem(
    code="ST101",
    summary="The API key secret is missing.",
    fix="Put it there.\nIt cannot be read back.",
    looked_in=(
        Attempt("env", "TWILIO_API_SECRET", "not set"),
        Attempt("dotenv:.env", "X", "not set"),
    ),
)
WARNING = Problem(
    code="ST502",
    summary="The token lies about.",
    fix="Remove it.",
    found_in=("env TWILIO_AUTH_TOKEN", ".env, line 3"),
    severity="warning",
)


def test_no_problem() -> None:
    assert (
        render(()) == headline(()) == ("safetwilio found no problem with the Twilio configuration.")
    )


def test_headline_counts_and_names_codes_once() -> None:
    assert headline([FAULT]) == (
        "safetwilio cannot start: 1 problem with the Twilio configuration (ST101)."
    )
    assert headline([FAULT, FAULT, WARNING]) == (
        "safetwilio cannot start: 3 problems with the Twilio configuration (ST101, ST502)."
    )
    assert headline([WARNING]).startswith("safetwilio can start: 1 problem ")


def test_one_problem_shows_every_place_in_columns_and_each_line_of_the_fix() -> None:
    assert render_one(FAULT) == (
        "[ST101] The API key secret is missing.\n"
        "  Looked in:\n"
        "    env          TWILIO_API_SECRET  not set\n"
        "    dotenv:.env  X                  not set\n"
        "  Fix: Put it there.\n"
        "       It cannot be read back."
    )
    assert render_one(WARNING) == (
        "[ST502 warning] The token lies about.\n"
        "  Found in: env TWILIO_AUTH_TOKEN\n"
        "            .env, line 3\n"
        "  Fix: Remove it."
    )


def test_what_others_have_named_makes_no_line_and_obeys_no_terminal() -> None:
    forged = "x\x1b[31m\nDone.\x9b\u202e\udcff"
    shown = r"x\x1b[31m\nDone.\x9b\u202e\udcff"
    place = Attempt(forged, forged, forged)
    assert render_one(Problem("ST101", forged, forged, (forged,), (place,))) == (
        f"[ST101] {shown}\n"
        f"  Found in: {shown}\n"
        "  Looked in:\n"
        f"    {shown}  {shown}  {shown}\n"
        "  Fix: x\\x1b[31m\n"
        r"       Done.\x9b\u202e\udcff"
    )


def test_report_ends_with_where_to_read_on() -> None:
    report = render([FAULT, WARNING])

    assert report.startswith(headline([FAULT, WARNING]) + "\n\n[ST101]")
    assert report.endswith(
        f"Docs: {DOCS_URL}/errors.html#st101\nCheck without starting the app: safetwilio doctor"
    )


def test_long_lines_are_wrapped_but_words_are_not_broken() -> None:
    problem = FAULT._replace(summary="word " * 40, fix="a-" * 30 + " " + "https://x/" + "y" * 120)

    lines = render_one(problem).splitlines()

    assert all(len(line) <= 92 for line in lines if "yyy" not in line)
    assert any("y" * 120 in line for line in lines)
    assert any("a-" * 30 in line for line in lines)


def test_faults_are_what_stops() -> None:
    assert faults([WARNING, FAULT]) == (FAULT,)


def test_json_holds_everything() -> None:
    assert json.loads(json.dumps(FAULT.as_dict())) == {
        "code": "ST101",
        "severity": "fault",
        "summary": "The API key secret is missing.",
        "found_in": [],
        "looked_in": [
            {"place": "env", "name": "TWILIO_API_SECRET", "outcome": "not set"},
            {"place": "dotenv:.env", "name": "X", "outcome": "not set"},
        ],
        "fix": "Put it there.\nIt cannot be read back.",
        "url": f"{DOCS_URL}/errors.html#st101",
    }


def test_faults_come_first_and_the_docs_are_the_first_fault_s() -> None:
    report = render([WARNING, FAULT], check="")

    assert report.index("[ST101]") < report.index("[ST502 warning]")
    assert report.endswith(f"Docs: {DOCS_URL}/errors.html#st101")


def test_commands_in_a_fix_are_completed_for_a_named_account_and_only_once() -> None:
    fix = "Run safetwilio init --replace, then\nsafetwilio doctor. safetwilio.boot() stays."
    whole = (
        "Run safetwilio init --account m --replace, then\nsafetwilio doctor --account m. "
        "safetwilio.boot() stays."
    )
    problem = FAULT._replace(fix=fix)

    assert for_account([problem], None) == (problem,)
    (completed,) = for_account([problem], "m")
    assert completed == problem._replace(fix=whole)
    assert for_account([completed], "m") == for_account([completed], "marketing") == (completed,)
    assert command("doctor --verify", "m") == "safetwilio doctor --account m --verify"
    assert command("doctor --verify", None) == "safetwilio doctor --verify"
