"""What went wrong, as values: frozen problems with a code, the places looked at, and the fix.

Floor 0. A problem never holds a secret: only names, places, lengths and public two-letter prefixes.
The same value is printed at boot, by ``safetwilio doctor`` and as JSON.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

DOCS_URL = "https://safetwilio.readthedocs.io/en/stable"
_WIDTH = 92
_FOR_AN_ACCOUNT = r"\bsafetwilio (?:init|doctor)\b(?! --account)"

Severity = Literal["fault", "warning"]


class Attempt(NamedTuple):
    """One place that was looked at: the *place* (``env``), the *name* in it, and the *outcome*."""

    place: str
    name: str
    outcome: str


class Problem(NamedTuple):
    """One thing that is wrong: its stable *code*, a one-sentence *summary*, and the *fix*.

    *found_in* says where the bad value is (never the value), *looked_in* where a missing one was
    sought. A problem of severity ``"warning"`` does not stop the boot.
    """

    code: str
    summary: str
    fix: str
    found_in: tuple[str, ...] = ()
    looked_in: tuple[Attempt, ...] = ()
    severity: Severity = "fault"

    @property
    def url(self) -> str:
        """The documentation page of this problem's code."""
        return f"{DOCS_URL}/errors.html#{self.code.lower()}"

    def as_dict(self) -> dict[str, Any]:
        """Return the problem as plain JSON types, for ``safetwilio doctor --json``."""
        return {
            "code": self.code,
            "severity": self.severity,
            "summary": self.summary,
            "found_in": list(self.found_in),
            "looked_in": [
                {"place": a.place, "name": a.name, "outcome": a.outcome} for a in self.looked_in
            ],
            "fix": self.fix,
            "url": self.url,
        }


def for_account(problems: Iterable[Problem], account: str | None) -> tuple[Problem, ...]:
    """Return *problems* with the commands in their fixes completed for the named *account*."""
    if account is None:
        return tuple(problems)
    return tuple(p._replace(fix=_completed(p.fix, account)) for p in problems)


def command(words: str, account: str | None) -> str:
    """Return ``safetwilio`` *words* as the named *account* needs it."""
    return _completed(f"safetwilio {words}", account) if account else f"safetwilio {words}"


def _completed(text: str, account: str) -> str:
    import re  # only a process that cannot start needs it

    return re.sub(_FOR_AN_ACCOUNT, rf"\g<0> --account {account}", text)


def faults(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """Return those of *problems* that stop the boot."""
    return tuple(p for p in problems if p.severity == "fault")


def faults_first(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """Return *problems* with those that stop the boot in front."""
    return tuple(sorted(problems, key=lambda problem: problem.severity != "fault"))


def headline(problems: Sequence[Problem], verdict: str | None = None) -> str:
    """Return the first line of a report, which stands alone in a log or as an issue's title.

    Its *verdict* is whether safetwilio can start, unless another is given.
    """
    if not problems:
        return "safetwilio found no problem with the Twilio configuration."
    count = len(problems)
    verb = verdict or ("cannot start" if faults(problems) else "can start")
    codes = ", ".join(dict.fromkeys(p.code for p in problems))
    return (
        f"safetwilio {verb}: {count} problem{'s' if count > 1 else ''} "
        f"with the Twilio configuration ({codes})."
    )


def render(
    problems: Sequence[Problem], *, check: str = "safetwilio doctor", verdict: str | None = None
) -> str:
    """Return the whole report of *problems*: headline, each problem, where to read on.

    Faults come first. *check* is the command that gives the same report, if there is one; for the
    *verdict* see :func:`headline`.
    """
    if not problems:
        return headline(problems)
    ordered = faults_first(problems)
    footer = f"Docs: {ordered[0].url}"
    if check:
        footer += f"\nCheck without starting the app: {check}"
    return "\n\n".join([headline(ordered, verdict), *map(render_one, ordered), footer])


def render_one(problem: Problem) -> str:
    """Return one problem as indented text, without values."""
    label = problem.code if problem.severity == "fault" else f"{problem.code} warning"
    lines = _wrap(f"[{label}] {problem.summary}", first="", rest="  ")
    if problem.found_in:
        label = "  Found in: "
        lines.append(label + ("\n" + " " * len(label)).join(map(visible, problem.found_in)))
    if problem.looked_in:
        attempts = [Attempt(*map(visible, attempt)) for attempt in problem.looked_in]
        place = max(len(a.place) for a in attempts)
        name = max(len(a.name) for a in attempts)
        lines.append("  Looked in:")
        lines += [
            f"    {a.place:<{place}}  {a.name:<{name}}  {a.outcome}".rstrip() for a in attempts
        ]
    for number, paragraph in enumerate(problem.fix.splitlines()):
        lines += _wrap(paragraph, first="       " if number else "  Fix: ", rest="       ")
    return "\n".join(lines)


def visible(text: str, *, besides: str = "") -> str:
    """Return *text* with escapes for what a terminal would obey or hide, *besides* a few.

    Names of directories and files are anybody's: one may hold a line that looks like ours.
    """
    if text.isprintable():
        return text
    return "".join(
        each if each.isprintable() or each in besides else each.encode("unicode_escape").decode()
        for each in text
    )


def _wrap(text: str, *, first: str, rest: str) -> list[str]:
    import textwrap  # only a process that cannot start needs it

    return textwrap.wrap(
        visible(text),
        _WIDTH,
        initial_indent=first,
        subsequent_indent=rest,
        break_long_words=False,
        break_on_hyphens=False,
    )
