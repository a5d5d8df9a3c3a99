"""A forked child works, also when another thread held our lock at that moment."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

import pytest

import safetwilio
from safetwilio import _boot
from support import Key, run_python

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")

# Run in a process of its own, for pytest's threads and handlers are no part of the question.
FORK = """
import faulthandler, os, sys, threading, warnings
warnings.simplefilter("ignore", DeprecationWarning)  # fork with threads: the point of this test
import safetwilio
from safetwilio import _boot
{before}
child = os.fork()
if child == 0:
    faulthandler.dump_traceback_later(20, exit=True)
    from safetwilio import client
    print("child", client.account_sid, flush=True)
    os._exit(0)
{after}
_, status = os.waitpid(child, 0)
from safetwilio import client
print("parent", client.account_sid, os.waitstatus_to_exitcode(status), flush=True)
"""
HOLD = """
held, done = threading.Event(), threading.Event()
def hold():
    with _boot._lock:
        held.set()
        done.wait()
holder = threading.Thread(target=hold)
holder.start()
held.wait()
"""
RELEASE = "done.set(); holder.join()"


@pytest.mark.parametrize(
    ("before", "after"),
    [("", ""), ("safetwilio.boot()", ""), (HOLD, RELEASE), (f"safetwilio.boot()\n{HOLD}", RELEASE)],
    ids=["before-boot", "after-boot", "lock-held-before-boot", "lock-held-after-boot"],
)
def test_parent_and_child_both_work(tmp_path: Path, key: Key, before: str, after: str) -> None:
    done = run_python(
        "-c",
        FORK.format(before=before, after=after),
        cwd=tmp_path,
        environment=key.environment(),
    )

    assert sorted(done.stdout.splitlines()) == [
        f"child {key.account}",
        f"parent {key.account} 0",
    ], done.stderr


def test_child_gets_a_lock_of_its_own(configured: Key) -> None:
    """The same without a process: the lock is held elsewhere, the hook runs, the boot goes on."""
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with lock:
            held.set()
            done.wait(20)

    lock = _boot._lock
    holder = threading.Thread(target=hold)
    holder.start()
    held.wait(20)
    try:
        _boot._after_fork()
        assert safetwilio.client.account_sid == configured.account
    finally:
        done.set()
        holder.join()
