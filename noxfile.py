"""Every check of this project; `python3 dev.py SESSION` runs one with only Python and pip there.

All but `system` need nothing besides pip; what needs Debian's or npm's packages is in `system`.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import nox
from nox.project import dependency_groups, load_toml

nox.needs_version = ">=2026.7"
nox.options.sessions = ["tests", "lint", "types", "docs"]
nox.options.default_venv_backend = "uv"  # which dev.py brings along
nox.options.reuse_venv = "yes"
nox.options.error_on_external_run = True
nox.options.download_python = "never"
# nox's own default turns a missing interpreter into a failure when CI is set.
nox.options.error_on_missing_interpreters = False

# Thousands of processes start here: each would compile all that it imports.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

ROOT = Path(__file__).parent
PYPROJECT: dict[str, Any] = load_toml("pyproject.toml")
OLDEST = "3.11"
CURRENT = f"{sys.version_info.major}.{sys.version_info.minor}"
# The running interpreter is there, so `tests` always has something to run.
PYTHONS = sorted(
    {OLDEST, "3.12", "3.13", "3.14", CURRENT}, key=lambda v: [int(n) for n in v.split(".")]
)
ENVIRONMENTS = [
    nox.param(OLDEST, "newest", id="3.11"),
    nox.param(OLDEST, "lowest", id="3.11-lowest"),
    *[nox.param(python, "newest", id=python) for python in PYTHONS if python != OLDEST],
]
# A test that hangs must not hang the run; pytest-timeout then shows where every thread stands.
# The reports of all broken configurations, made for the first test of a file, take a minute or two.
TIMEOUT = "--timeout=300"
# Most tests wait for processes and sockets of theirs: two processors have time for three at once.
# The tests of a file share what they start.
# They begin in the order that tests/conftest.py gives them: what takes long first.
PARALLEL = ("--numprocesses=3", "--dist=loadfile", "--no-loadscope-reorder", "--durations=25")
LIVE = "SAFETWILIO_LIVE_"
# A developer's real credentials must not reach a test or a demo; where Twilio's OpenAPI documents
# are is for the tests to know.
CLEAN_ENV: dict[str, str | None] = {
    name: None
    for name in os.environ
    if name.startswith(("TWILIO_", "SAFETWILIO_")) and name != "SAFETWILIO_TWILIO_OAI"
}


def _offer_pyenv_interpreters() -> None:
    """Put pyenv's interpreters at the end of PATH: its shims hide all but the selected one."""
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    found = (p.parent for v in PYTHONS for p in root.glob(f"versions/{v}.*/bin/python{v}"))
    os.environ["PATH"] = os.pathsep.join([os.environ["PATH"], *map(str, sorted(found))])


_offer_pyenv_interpreters()


@nox.session
def demo(session: nox.Session) -> None:
    """Run an example from the checkout: `-- NAME` chooses another than `quickstart`."""
    name, *arguments = session.posargs or ["quickstart"]
    examples = {path.parent.name: path for path in ROOT.glob("examples/*/demo.py")}
    if name not in examples:
        session.error(f"There is no example {name!r}; there are: {', '.join(sorted(examples))}")
    requirements = examples[name].with_name("requirements.txt")
    _install(session, ".", *(["-r", str(requirements)] if requirements.exists() else []))
    session.run("python", str(examples[name]), *arguments, env=CLEAN_ENV)


@nox.session
@nox.parametrize(("python", "dependencies"), ENVIRONMENTS)
def tests(session: nox.Session, dependencies: str) -> None:
    """Run the tests against the built wheel; arguments go to pytest and switch the gate off."""
    _install_wheel(session, *(_lower_bounds() if dependencies == "lowest" else ()))
    ignored = ("--ignore=tests/system", "--ignore=tests/typing")
    arguments = ["pytest", TIMEOUT, *PARALLEL, *ignored, *session.posargs]
    newest = [each for each in PYTHONS if each == CURRENT or shutil.which(f"python{each}")][-1]
    is_newest = session.python == newest and dependencies == "newest"
    # The other environments leave out what one is enough for, so only this one is measured.
    if session.posargs or not is_newest:
        less = () if session.posargs else _less_than_all(dependencies)
        session.run("python", "-m", *arguments, *less, env=CLEAN_ENV)
        return
    session.run("coverage", "erase")
    session.run("coverage", "run", "-m", *arguments, env=CLEAN_ENV | _monitoring(newest))
    session.run("coverage", "combine", "--quiet")
    session.run("coverage", "report")


def _less_than_all(dependencies: str) -> tuple[str, ...]:
    """Return what leaves out the tests that one environment is enough for.

    Between the oldest interpreter with the lowest *dependencies* and the newest with the newest,
    the street has to do: what breaks in the middle alone breaks in there.
    """
    street = sorted(str(path.relative_to(ROOT)) for path in ROOT.glob("tests/test_*.py"))
    return ("-m", "not once", *(() if dependencies == "lowest" else street))


def _monitoring(python: str) -> dict[str, str]:
    """Return what lets *python* say itself which lines it runs: a trace function doubles the time.

    Before 3.14 it cannot say so of branches, so lines are what is measured.
    """
    return {} if python == "3.11" else {"COVERAGE_CORE": "sysmon"}


@nox.session
def system(session: nox.Session) -> None:
    """Run the tests that need Debian's or npm's packages; `.ci/run` installs those."""
    if not any((ROOT / "tests" / "system").glob("**/test_*.py")):
        session.skip("there are no system tests yet")
    _install_wheel(session, group="system")
    arguments = ("pytest", TIMEOUT, *PARALLEL, "tests/system", *session.posargs)
    session.run("python", "-m", *arguments, env=CLEAN_ENV)


@nox.session
def live(session: nox.Session) -> None:
    """Ask Twilio itself what the emulator assumes; only SAFETWILIO_LIVE_… say with what."""
    _install_wheel(session)
    given = {name: value for name, value in os.environ.items() if name.startswith(LIVE)}
    probes = str(ROOT / "tests" / "live" / "against_twilio.py")
    options = ("-p", "no:randomly", "--timeout=600")
    session.run("python", "-m", "pytest", *options, probes, *session.posargs, env=CLEAN_ENV | given)


@nox.session
def lint(session: nox.Session) -> None:
    """Check style, docstrings and the floors: which room may import which."""
    _install(session, *dependency_groups(PYPROJECT, "lint"))
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("interrogate", "src")
    session.run("lint-imports", env={"PYTHONPATH": "src"})


@nox.session
def types(session: nox.Session) -> None:
    """Check types: mypy reads everything, pyright what users write against (never run)."""
    _install(session, "--editable", ".[all]", *dependency_groups(PYPROJECT, "types"))
    usage = ROOT / "tests" / "typing"
    files = sorted(map(str, usage.glob("*.py")))
    session.run("mypy", "src", "noxfile.py", "dev.py", "bench", *files)
    # As a user without our configuration sees it, for whom Twilio's types are Any.
    session.run("mypy", "--config-file=", "--strict", str(usage / "alone.py"))
    session.run("pyright", "--project", str(usage))
    session.run("python", "-m", "pytest", TIMEOUT, str(usage), env=CLEAN_ENV)


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation; a warning or a dangling reference fails."""
    _install(session, "--editable", ".[all]", *dependency_groups(PYPROJECT, "docs"))
    session.run("sphinx-build", "-n", "-W", "--keep-going", "-q", "docs", "docs/_build/html")
    session.log("Open docs/_build/html/index.html")


@nox.session
def leaks(session: nox.Session) -> None:
    """Send a secret's spellings over the ways out, and print what leaks: with us nothing may."""
    _install_wheel(session)
    _install(session, *dependency_groups(PYPROJECT, "leaks"))
    session.run("python", "tests/redaction/leak_matrix.py", env=CLEAN_ENV)


@nox.session
def bench(session: nox.Session) -> None:
    """Run the measurements, or those named: `-- [--quick] NAME`."""
    # `backends` starts the servers of the tests, `redaction` compares with what `leaks` does.
    _install(session, ".[all]", *dependency_groups(PYPROJECT, "tests", "leaks"))
    flags = [argument for argument in session.posargs if argument.startswith("-")]
    names = [argument for argument in session.posargs if argument not in flags]
    for name in names or sorted(path.stem for path in ROOT.glob("bench/*.py")):
        session.run("python", f"bench/{name}.py", *flags, env=CLEAN_ENV)


def _install(session: nox.Session, *what: str) -> None:
    session.install("--quiet", *what)


def _install_wheel(session: nox.Session, *pins: str, group: str = "tests") -> None:
    """Install the wheel with all extras and *group*, held to *pins* if there are any."""
    wheel = _build_wheel(session)
    newest = () if pins else ("--upgrade",)
    tools = dependency_groups(PYPROJECT, group)
    _install(session, *newest, f"{wheel}[all]", *tools, *pins)
    # A kept environment may hold an older wheel of the same version, which would be left alone.
    _install(session, "--reinstall", "--no-deps", wheel)


def _build_wheel(session: nox.Session, built: list[str] = []) -> str:  # noqa: B006
    """Return this run's wheel; *built* keeps it, so that all environments test one and the same."""
    if not built:
        dist = session.cache_dir / "dist"
        shutil.rmtree(dist, ignore_errors=True)
        session.run("uv", "build", "--quiet", "--wheel", "--out-dir", str(dist))
        built += map(str, dist.glob("*.whl"))
    return built[0]


def _lower_bounds() -> list[str]:
    """Return the lower bound of each dependency and extra in pyproject.toml as an exact version."""
    project = PYPROJECT["project"]
    requirements = [
        *project["dependencies"],
        *(r for extra in project["optional-dependencies"].values() for r in extra),
    ]
    bounds = [re.match(r"([\w.-]+(?:\[.+?\])?)>=([\w.]+)", r) for r in requirements]
    pins = {bound[1]: bound[2] for bound in bounds if bound}
    # The tests' boto3 belongs to one botocore; pip would look through years of them to find it.
    pins["boto3"] = pins["botocore"]
    return [f"{name}=={version}" for name, version in pins.items()]
