"""The example of docs/celery.md: a real worker with forked children, and a broker of files."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from celery import Celery

from integrations.served import Served, ended
from safetwilio.testing import EmulatorServer
from support import clean_environment, leaks, new_key, write

if TYPE_CHECKING:
    from collections.abc import Iterator

    from safetwilio.testing.records import Key as EmulatedKey

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="the children are forked")

HERE = Path(__file__).parent
EXAMPLE = HERE.parents[2] / "examples" / "celery_worker"
CELERY = (sys.executable, "-m", "celery", "--app")
WORKER = (*CELERY, "celery_site", "worker", "--concurrency", "2", "--loglevel", "INFO")
TO = "+15005550010"


class Site:
    """A running worker: its *output*, and what its tasks return."""

    def __init__(self, worker: Served, folder: Path) -> None:
        """Know the *worker*, and the *folder* in which its tasks and their results are."""
        self.worker = worker
        self._folder = folder
        self._app = Celery(broker="filesystem://", backend=f"file://{folder}/results")
        self._app.conf.broker_transport_options = {
            "data_folder_in": f"{folder}/queue",
            "data_folder_out": f"{folder}/outbox",
            "control_folder": f"{folder}/control",
        }

    def do(self, task: str, *arguments: Any) -> Any:
        """Let the worker do *task*, and return what it returns."""
        sent = self._app.send_task(task, arguments)
        # Into the queue whole: kombu reads a file there while it is being written, and loses it.
        for path in (self._folder / "outbox").iterdir():
            path.rename(self._folder / "queue" / path.name)
        return sent.get(timeout=60, interval=0.05)


@contextmanager
def working(folder: Path, env: dict[str, str]) -> Iterator[Site]:
    for name in ("outbox", "queue", "results", "control"):
        (folder / name).mkdir()
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            WORKER, cwd=folder, env=environment(folder, env), stdout=log, stderr=log
        )
        worker = Served(process, 0, log)
        try:
            worker.wait_for_output("ready.")
            yield Site(worker, folder)
        finally:
            process.terminate()
            process.wait(60)


def environment(folder: Path, env: dict[str, str]) -> dict[str, str]:
    return clean_environment(
        BROKER_URL="filesystem://",
        RESULT_BACKEND=f"file://{folder}/results",
        CELERY_SITE=str(folder),
        PYTHONPATH=os.pathsep.join([str(EXAMPLE), str(HERE)]),
        PYTHONUNBUFFERED="1",
        **env,
    )


def put(path: Path, server: EmulatorServer, key: EmulatedKey) -> None:
    pair = f"TWILIO_API_KEY={key.sid}\nTWILIO_API_SECRET={key.secret}\n"
    write(path, f"TWILIO_ACCOUNT_SID={server.emulator.account.sid}\n{pair}")


def test_a_forked_child_sends_with_its_parents_key_and_loads_another(tmp_path: Path) -> None:
    path = tmp_path / "secrets.env"
    with EmulatorServer() as twilio:
        first, second = twilio.emulator.standard_key, twilio.emulator.account.create_key("standard")
        put(path, twilio, first)
        env = {"SAFETWILIO_EMULATOR": twilio.url, "SAFETWILIO_BACKEND": f"dotenv:{path}"}
        with working(tmp_path, env) as site:
            sid = site.do("tasks.tell", TO, "from a child")
            child, parent, fingerprint = site.do("celery_site.look")
            output = site.worker.output()
            put(path, twilio, second)
            changed, seen = False, set()
            while not changed:  # until it was the turn of a child that has the old key
                changed = site.do("tasks.load_key_again")
            while seen != {True, False}:  # one child has the new one, the other the old one
                seen.add(site.do("celery_site.look")[2] == fingerprint)
            while second.sid not in {message.key_sid for message in twilio.emulator.messages}:
                site.do("tasks.tell", TO, "from both")
            output = site.worker.output()

    messages = twilio.emulator.messages
    assert (messages[0].sid, messages[0].body) == (sid, "from a child")
    assert {message.key_sid for message in messages} <= {first.sid, second.sid}
    assert messages[0].key_sid == first.sid
    assert parent == site.worker.process.pid != child
    assert output.count("Twilio credentials loaded:") <= 1  # only the parent did that
    assert output.count("Twilio credentials replaced:") == 1
    assert leaks(output, [first.secret, second.secret]) == []


def test_a_worker_without_a_key_does_not_start(tmp_path: Path) -> None:
    key = new_key()
    half = {"TWILIO_ACCOUNT_SID": key.account, "TWILIO_API_KEY": key.sid}

    done = ended(WORKER, environment(tmp_path, half), tmp_path)

    assert done.code != 0
    assert "[ST101] The API key secret is missing." in done.output


def test_a_program_that_only_asks_for_tasks_needs_no_key(tmp_path: Path) -> None:
    code = "from tasks import tell; print(tell.name)"
    env = environment(tmp_path, {"SAFETWILIO_BOOT": "off"})

    done = ended((sys.executable, "-c", code), env, tmp_path)

    assert (done.code, done.output) == (0, "tasks.tell\n")
