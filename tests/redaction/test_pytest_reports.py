"""What pytest shows of a failed test, with the plugin, in every kind of report."""

from __future__ import annotations

import os

import pytest

from support import auth_token, leaks

pytest_plugins = ["pytester"]

FAILING = """
import os, sys, warnings
import pytest
from safetwilio import redaction

SECRET = os.environ["FAKE"]
redaction.register(SECRET, "token")

@pytest.fixture
def broken():
    raise RuntimeError(f"fixture {os.environ['FAKE']}")

def test_fails(record_property):
    holder = {"a": [SECRET]}
    record_property("kept", SECRET)
    print("printed", SECRET)
    print("printed", SECRET, file=sys.stderr)
    warnings.warn(f"warned {SECRET}")
    assert holder == SECRET

def test_broken(broken):
    pass

def test_skipped():
    pytest.skip(f"because {SECRET}")
"""


@pytest.fixture
def secret(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> str:
    value = auth_token()
    monkeypatch.setenv("FAKE", value)
    monkeypatch.delenv("SAFETWILIO_REDACT", raising=False)
    pytester.makepyfile(FAILING)
    return value


ARGUMENTS = (
    "--showlocals", "-ra", "-vv", "-pno:cacheprovider",
    "--junitxml=report.xml", "-ojunit_family=xunit1",  # which has properties
)  # fmt: skip


@pytest.mark.parametrize("switch", ["", "off"])
@pytest.mark.parametrize("more", [(), ("-n1",)], ids=["here", "xdist"])
def test_no_report_shows_a_secret(
    pytester: pytest.Pytester,
    monkeypatch: pytest.MonkeyPatch,
    secret: str,
    switch: str,
    more: tuple[str, ...],
) -> None:
    if switch:
        monkeypatch.setenv("SAFETWILIO_REDACT", switch)
    done = pytester.runpytest_subprocess(*ARGUMENTS, *more)
    done.assert_outcomes(failed=1, errors=1, skipped=1, warnings=1)
    shown = done.stdout.str() + done.stderr.str()
    written = (pytester.path / "report.xml").read_text("utf-8")
    assert bool(leaks(shown, [secret])) == bool(switch)
    assert bool(leaks(written, [secret])) == bool(switch)
    if not switch:
        for text in ("holder", "printed [TWILIO:token:", "warned [TWILIO:", "because [TWILIO:"):
            assert text in shown
        for text in ('value="[TWILIO:token:', "fixture [TWILIO:token:"):
            assert text in written


def test_a_module_that_does_not_import(pytester: pytest.Pytester, secret: str) -> None:
    pytester.makepyfile(FAILING + "\nraise RuntimeError(SECRET)\n")
    done = pytester.runpytest_subprocess(*ARGUMENTS)
    done.assert_outcomes(errors=1)
    assert leaks(done.stdout.str(), [secret]) == []
    done.stdout.fnmatch_lines(["*RuntimeError: [[]TWILIO:token:*"])


def test_a_sink_that_fails_its_self_test_raises(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SAFETWILIO_REDACT", raising=False)
    pytester.makepyfile(
        """
        import os
        import pytest
        from safetwilio import redaction
        from safetwilio.errors import RedactionError
        from safetwilio.redaction.sinks import stdlib_logging

        def test_strict(monkeypatch):
            monkeypatch.setattr(stdlib_logging, "check", lambda: False)
            with pytest.raises(RedactionError):
                redaction.install()
            redaction.install(strict=False)
            monkeypatch.delenv("SAFETWILIO_REDACT")
            redaction.install()
            redaction.uninstall()
        """
    )
    pytester.runpytest_subprocess("-p", "no:cacheprovider").assert_outcomes(passed=1)
    assert "SAFETWILIO_REDACT" not in os.environ
