"""Each process tells which key it uses; nothing stops for that, and hostile files do no harm."""

from __future__ import annotations

import errno
import json
import os
import signal
import stat
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import safetwilio
from safetwilio import _boot, heartbeat, processes
from safetwilio.errors import UsageError
from safetwilio.heartbeat import Heartbeat, Heartbeats, read_heartbeats, reading, sweep, writing
from safetwilio.processes import Process, is_alive, this_process
from safetwilio.redaction import fingerprint, register
from safetwilio.refresh_policy import RefreshPolicy
from safetwilio.store import CredentialStore
from support import Key, assert_silent, caught, clean_environment, leaks, new_key, run_python, write
from test_store import another, api_key

if TYPE_CHECKING:
    from collections.abc import Iterator
    from subprocess import CompletedProcess

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
needs_proc = pytest.mark.skipif(this_process().started is None, reason="there is no /proc here")
WAITING = "print('ready', flush=True); sys.stdin.read()"


@pytest.fixture(autouse=True)
def _writes_nothing_more() -> Iterator[None]:
    yield
    writing._writer.files.clear()
    writing._writer.problem = None
    writing._writer.home = None


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    made = tmp_path / "beats"
    made.mkdir()
    monkeypatch.setenv("SAFETWILIO_HEARTBEAT", str(made))
    monkeypatch.setenv("SAFETWILIO_SERVICE", "billing")
    return made


def environment(directory: Path, key: Key) -> dict[str, str]:
    return {"SAFETWILIO_HEARTBEAT": str(directory), **key.environment()}


def run(code: str, directory: Path, key: Key, **more: str) -> CompletedProcess[str]:
    """Run *code* in a directory called ``shop``, after a boot."""
    cwd = directory.parent / "shop"
    cwd.mkdir(exist_ok=True)
    program = f"import os, sys, safetwilio\nsafetwilio.boot()\n{code}"
    return run_python("-c", program, cwd=cwd, environment=environment(directory, key) | more)


def only(directory: Path) -> Heartbeat:
    (found,) = read_heartbeats(directory)
    return found


def edited(directory: Path, **changes: Any) -> Heartbeat:
    """Change the only file in *directory*, and read it."""
    (path,) = directory.glob("*.json")
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    return only(directory)


def test_a_boot_writes_which_key_is_used(directory: Path, configured: Key) -> None:
    before = time.time()
    safetwilio.boot()
    found = only(directory)
    assert found.key == fingerprint(configured.sid)
    assert (found.service, found.account, found.version) == ("billing", "default", None)
    assert found.process == this_process()
    assert before - 1 <= found.told_at <= time.time()
    assert found.is_alive == "yes"
    assert found.refresh_age is None  # nobody else changes the environment
    assert found.file.startswith(f"billing.{found.host}.{found.pid}-")
    assert found.file.endswith(".default.json")


def test_nothing_is_written_unless_asked_for(tmp_path: Path, key: Key) -> None:
    code = "import safetwilio; safetwilio.boot(); import sys; print([*sys.modules])"
    done = run_python("-c", code, cwd=tmp_path, environment=key.environment())
    assert "safetwilio.refreshed" in done.stdout
    assert "safetwilio.heartbeat" not in done.stdout
    assert [*tmp_path.iterdir()] == []


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX's")
def test_the_group_may_read_it_whatever_the_umask(directory: Path, key: Key) -> None:
    code = "os.umask(0o777 - 0o700); safetwilio.reset(); safetwilio.boot(); os._exit(0)"
    assert run(code, directory, key).returncode == 0
    (path,) = directory.iterdir()
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_no_sid_and_no_secret_is_in_any_file(directory: Path, monkeypatch: Any) -> None:
    key = new_key()
    monkeypatch.setenv("SAFETWILIO_SERVICE", key.sid)
    register(key.secret, "secret")
    held = api_key(key)
    held.version = key.secret + "\n\x1b[2J"
    heartbeat.beat("default", lambda: held, 300)
    (path,) = directory.iterdir()
    assert leaks(path.name + path.read_text("ascii"), [key.sid, key.secret, key.account]) == []
    assert only(directory).key == fingerprint(key.sid)


def test_the_service_is_the_directory_at_the_first_time(directory: Path, key: Key) -> None:
    """A process that changes its directory has one file still, also where that is relative."""
    code = (
        "os.environ['TWILIO_X_ACCOUNT_SID'], os.environ['TWILIO_X_API_KEY'],"
        " os.environ['TWILIO_X_API_SECRET'] = sys.argv[1:]\n"
        "os.chdir('/'); safetwilio.get_client('x').account_sid\n"
        "safetwilio.reset(); safetwilio.boot(); os._exit(0)"
    )
    cwd = directory.parent / "shop floor"
    cwd.mkdir()
    program = f"import os, sys, safetwilio\nsafetwilio.boot()\n{code}"
    more = {**environment(directory, key), "SAFETWILIO_HEARTBEAT": "../beats"}
    done = run_python("-c", program, *key, cwd=cwd, environment=more)
    assert done.returncode == 0, done.stderr
    found = read_heartbeats(directory)
    assert [(each.service, each.account) for each in found] == [
        ("shop-floor", "default"),
        ("shop-floor", "x"),
    ]


def test_a_look_and_a_new_key_are_written(
    directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: Key
) -> None:
    new = new_key()._replace(account=key.account)
    place = write(tmp_path / "keys.env", key.dotenv())
    monkeypatch.setenv("SAFETWILIO_BACKEND", f"dotenv:{place}")
    monkeypatch.setenv("SAFETWILIO_REFRESH_AGE", "60")
    safetwilio.boot()
    first = only(directory)
    assert (first.key, first.refresh_age) == (fingerprint(key.sid), 60)
    assert not safetwilio.refresh()
    second = only(directory)
    assert second.told_at > first.told_at
    assert second._replace(told_at=first.told_at) == first
    write(place, new.dotenv())
    assert safetwilio.refresh()
    assert only(directory).key == fingerprint(new.sid)
    place.unlink()
    before = only(directory)
    assert caught(safetwilio.refresh) is not None
    after = only(directory)
    assert after.told_at > before.told_at, "who cannot look is not idle"
    assert after._replace(told_at=before.told_at) == before
    assert not after.is_idle()
    assert not after.is_idle(after.told_at + 119)
    assert after.is_idle(after.told_at + 120)
    assert after.idle_after == 120
    never = after._replace(refresh_age=None)
    assert never.idle_after is None
    assert not never.is_idle(1e10)


@needs_proc
@pytest.mark.usefixtures("configured")
def test_whose_clock_it_is(directory: Path) -> None:
    safetwilio.boot()
    assert edited(directory, host="container", namespace=None).by_our_clock
    assert not edited(directory, boot_id="0" * 8).by_our_clock
    assert not edited(directory, boot_id=None).by_our_clock


def test_at_its_end_a_process_removes_its_file(directory: Path, key: Key) -> None:
    done = run("print(len(os.listdir(os.environ['SAFETWILIO_HEARTBEAT'])))", directory, key)
    assert done.stdout == "1\n", done.stderr
    assert [*directory.iterdir()] == []


@needs_fork
@pytest.mark.parametrize("way", ["fresh", "meanwhile", "fresh_async"])
def test_a_child_writes_at_its_first_use_and_never_before(
    directory: Path, key: Key, way: str
) -> None:
    call = f"asyncio.run(store.{way}())" if way == "fresh_async" else f"store.{way}()"
    code = f"""
import asyncio, threading, time
from safetwilio import _boot
store = _boot.get_account(None).store
looks = []
reload = store._reload
store._reload = lambda: (looks.append(1), reload())[1]
def written():
    names = [name for name in os.listdir({str(directory)!r}) if name[0] != "."]
    return sorted(int(name.split(".")[2].partition("-")[0]) for name in names)
mine = os.getpid()
children = []
for number in range(4):
    child = os.fork()
    if child:
        children.append(child)
        continue
    bad = os.getpid() in written()
    if number < 3:
        threads = [threading.Thread(target=lambda: {call}) for _ in range(8)]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
        end = time.monotonic() + 20
        while os.getpid() not in written() and time.monotonic() < end:
            time.sleep(0.01)
        bad |= os.getpid() not in written() or bool(looks)
        bad |= not time.time() < store._due < time.time() + 301
    os._exit(bad)
assert not any(os.waitpid(child, 0)[1] for child in children)
assert written() == sorted([mine, *children[:3]]), written()
os._exit(0)
"""
    place = write(directory.parent / "keys.env", key.dotenv())
    done = run(code, directory, key, SAFETWILIO_BACKEND=f"dotenv:{place}")
    assert done.returncode == 0, done.stderr
    found = read_heartbeats(directory)
    assert [each.key for each in found] == [fingerprint(key.sid)] * 4
    if this_process().started is not None:
        assert [each.is_alive for each in found] == ["no"] * 4
        assert len(found.using(fingerprint(key.sid))) == 0
        assert len(sweep(directory)) == 4
        assert [*directory.iterdir()] == []


@needs_fork
def test_a_child_that_ends_leaves_its_parents_file(directory: Path, key: Key) -> None:
    code = """
child = os.fork()
if not child:
    sys.exit()
os.waitpid(child, 0)
print(len(os.listdir(os.environ['SAFETWILIO_HEARTBEAT'])))
"""
    assert run(code, directory, key).stdout == "1\n"


@needs_proc
def test_a_killed_process_leaves_its_file_and_is_known_to_be_dead(
    directory: Path, key: Key
) -> None:
    program = f"import sys, safetwilio; safetwilio.boot(); {WAITING}"
    with subprocess.Popen(
        [sys.executable, "-c", program],
        env=clean_environment(**environment(directory, key)),
        cwd=directory.parent,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        alive = only(directory)
        assert (alive.is_alive, alive.pid) == ("yes", process.pid)
        assert sweep(directory) == ()
        process.send_signal(signal.SIGKILL)
        end = time.monotonic() + 30
        while only(directory).is_alive != "no":  # nobody has waited for it yet
            assert time.monotonic() < end
            time.sleep(0.01)
        assert process.stdin
        process.stdin.close()
    assert only(directory).is_alive == "no"
    assert read_heartbeats(directory).using(alive.key) == ()
    assert sweep(directory) == (alive.file,)
    assert read_heartbeats(directory) == ()


@needs_proc
@pytest.mark.usefixtures("configured")
def test_who_is_alive(directory: Path) -> None:
    safetwilio.boot()
    mine = this_process()
    assert mine.started
    assert edited(directory).is_alive == "yes"
    assert edited(directory, started=mine.started - 1).is_alive == "no", "the number was reused"
    assert edited(directory, started=None).is_alive == "unknown"
    assert edited(directory, pid=1, started=mine.started).is_alive == "no"
    assert edited(directory, pid=2**31 - 1).is_alive == "no"
    assert edited(directory, pid=mine.pid, boot_id="0" * 8, told_at=0).is_alive == "no"
    assert edited(directory, told_at=time.time()).is_alive == "unknown", "not this machine"
    assert edited(directory, boot_id=None, told_at=0).is_alive == "unknown"
    assert edited(directory, boot_id=mine.boot_id, namespace="pid:[1]").is_alive == "unknown"
    assert edited(directory, namespace=mine.namespace, host="elsewhere").is_alive == "unknown"
    assert edited(directory, host="").is_alive == "unknown"


def test_where_the_system_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "_read", lambda _: None)
    monkeypatch.setattr(processes, "_namespace", lambda: None)
    mine = this_process()
    assert mine == Process(mine.host, None, None, os.getpid(), None)
    assert is_alive(mine, time.time()) == "yes"
    monkeypatch.setattr(processes.os, "name", "nt")
    assert is_alive(mine._replace(pid=1), time.time()) == "unknown"


@pytest.mark.skipif(os.name != "posix", reason="elsewhere nobody is asked")
def test_where_only_the_number_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "_read", lambda _: None)
    mine = this_process()
    assert is_alive(mine._replace(pid=os.getppid()), time.time()) == "unknown"
    assert is_alive(mine._replace(pid=2**31 - 1), time.time()) == "no"


def test_a_machine_without_a_name_is_no_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "localhost")
    assert is_alive(this_process(), time.time()) == "unknown"


def test_who_uses_a_key(directory: Path, key: Key, monkeypatch: pytest.MonkeyPatch) -> None:
    heartbeat.beat("default", lambda: api_key(key), 300)
    heartbeat.beat("other", lambda: another(key), 300)
    found = read_heartbeats(directory)
    assert [each.account for each in found.using(fingerprint(key.sid))] == ["default"]
    assert found.using("AAAAAAAA") == ()
    monkeypatch.setenv("SAFETWILIO_FINGERPRINT_KEY", "of another team")
    assert len(found.using(fingerprint(key.sid))) == 2, "they cannot be compared"
    assert isinstance(found.using("AAAAAAAA"), Heartbeats)


def test_a_directory_that_is_missing_is_said_once(
    directory: Path, configured: Key, caplog: pytest.LogCaptureFixture
) -> None:
    directory.rmdir()
    safetwilio.boot()
    heartbeat.beat("default", lambda: api_key(configured), 300)
    (warning,) = [each for each in caplog.records if "ST957" in each.getMessage()]
    assert warning.levelname == "WARNING"
    assert str(directory) not in warning.getMessage()  # the variable may hold a secret by mistake
    health = safetwilio.health()
    assert health.ok
    assert [problem.code for problem in health.accounts[0].warnings] == ["ST957"]

    directory.mkdir()
    heartbeat.beat("default", lambda: api_key(configured), 300)
    assert safetwilio.health().accounts[0].warnings == ()
    assert only(directory).is_alive == "yes"


@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, "full"), PermissionError(errno.EACCES, "no"), TypeError("x")]
)
def test_whatever_fails_the_program_goes_on(
    directory: Path, configured: Key, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(writing.os, "fdopen", fail)
    safetwilio.boot()
    assert safetwilio.client.account_sid == configured.account
    assert [problem.code for problem in heartbeat.problems()] == ["ST957"]
    assert [*directory.iterdir()] == []


def test_a_directory_that_cannot_be_listed_is_not_an_empty_one(tmp_path: Path) -> None:
    for place in (tmp_path / "missing", write(tmp_path / "file", "x"), "a\0b"):
        for call in (read_heartbeats, sweep):
            error = caught(lambda call=call, place=place: call(place))  # type: ignore[misc]
            assert isinstance(error, UsageError)
            assert error.code == "ST957"
            assert_silent(error, [])


@pytest.mark.usefixtures("configured")
def test_hostile_files_are_passed_over(directory: Path) -> None:
    safetwilio.boot()
    (path,) = directory.iterdir()
    good = path.read_text()
    write(directory / "huge.json", good + " " * reading.LARGEST)
    write(directory / "deep.json", "[" * 16_000)
    write(directory / "long.json", "1" * 16_000)
    write(directory / "text.json", b"\xff\xfe\0")
    write(directory / "list.json", "[]")
    write(directory / "new.json", json.dumps(json.loads(good) | {"format": 2}))
    write(directory / "odd\x1b[2J name.json", "{}")
    (directory / "directory.json").mkdir()
    (directory / "link.json").symlink_to(path)
    (directory / "dangling.json").symlink_to(directory / "nowhere")
    expected = {
        "deep.json": "not JSON",
        "dangling.json": "a symbolic link",
        "huge.json": "larger than 16 KiB",
        "link.json": "a symbolic link",
        "list.json": "not a heartbeat",
        "long.json": "not JSON",
        "new.json": "of another format",
        "odd?_2J?name.json".replace("_", "?"): "not a heartbeat",
        "text.json": "not JSON",
    }
    if hasattr(os, "mkfifo"):
        os.mkfifo(directory / "fifo.json")
        expected |= {"fifo.json": "not a regular file", "directory.json": "not a regular file"}
    write(directory / "README", "is no heartbeat, and says so")
    found = read_heartbeats(directory)
    assert [each.file for each in found] == [path.name]
    assert {each.name: each.why for each in found.skipped}.items() >= expected.items()
    assert found.using("AAAAAAAA").skipped == found.skipped
    assert sweep(directory) == ()


@pytest.mark.usefixtures("configured")
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("pid", 0),
        ("pid", -1),
        ("pid", True),
        ("pid", 10**30),
        ("pid", 1.0),
        ("started", -1),
        ("started", 2**64),
        ("told_at", "now"),
        ("told_at", float("nan")),
        ("told_at", float("inf")),
        ("told_at", 10**400),
        ("told_at", -1),
        ("refresh_age", "300"),
        ("key", "[TWILIO:key:AAAAAAAA]"),
        ("key", ["AAAAAAAA"]),
        ("measure", None),
        ("version", "\x1b[2J"),
        ("version", "1" * 201),
        ("host", "a\nb"),
        ("service", "x" * 101),
        ("account", {}),
        ("boot_id", "../../etc"),
        ("namespace", "pid:[1]\n"),
    ],
)
def test_a_field_of_another_kind(directory: Path, field: str, value: object) -> None:
    safetwilio.boot()
    (path,) = directory.iterdir()
    path.write_text(json.dumps(json.loads(path.read_text()) | {field: value}))
    found = read_heartbeats(directory)
    assert found == ()
    assert [each.why for each in found.skipped] == ["not a heartbeat"]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(
    data=st.binary(max_size=300)
    | json_values.map(lambda value: json.dumps(value).encode())
    | st.dictionaries(st.sampled_from(["format", *reading._RULES]), json_values).map(
        lambda changes: json.dumps(_good() | changes).encode()
    )
)
def test_no_bytes_make_reading_fail(tmp_path: Path, data: bytes) -> None:
    write(tmp_path / "any.json", data)
    found = read_heartbeats(tmp_path)
    assert len(found) + len(found.skipped) == 1
    found.using("AAAAAAAA")


def _good() -> dict[str, Any]:
    mine = this_process()._replace(host="elsewhere")
    content = writing.content_of("any", mine, "default", api_key(new_key()), 300)
    return json.loads(content)  # type: ignore[no-any-return]


@needs_proc
def test_what_a_killed_process_left_half_written_is_swept(directory: Path) -> None:
    old, young = (write(directory / f"{writing.UNFINISHED}{n}", "") for n in "ab")
    os.utime(old, (0, 0))
    assert sweep(directory) == ()
    assert [*directory.iterdir()] == [young]
    assert read_heartbeats(directory) == ()


@pytest.mark.usefixtures("directory")
def test_a_file_that_goes_while_it_is_read_is_no_fault(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "_names", lambda _: {"gone.json"})
    found = read_heartbeats(directory)
    assert (found, found.skipped) == ((), ())
    with suppress(FileNotFoundError):
        Path(directory / "gone.json").unlink()


def test_the_next_use_is_seen_once_and_looks_for_nothing(key: Key) -> None:
    seen: list[int] = []
    looks: list[int] = []

    def load() -> Any:
        looks.append(1)
        return api_key(key)

    store = CredentialStore(api_key(key), load, policy=RefreshPolicy(), seen=lambda: seen.append(1))
    due = store._due
    for _ in range(2):
        store.show_next_use()
    assert store.fresh() is store.fresh()
    assert (seen, looks, store._due) == ([1], [], due)

    store.show_next_use()
    store.expire()  # a signal before the first use
    store.fresh()
    assert (seen, looks) == ([1, 1, 1], [1])


def test_who_shows_nothing_pays_nothing(key: Key) -> None:
    store = CredentialStore(api_key(key), lambda: api_key(key), policy=RefreshPolicy())
    store.show_next_use()
    assert store._due > 0


def test_an_account_that_was_refused_meanwhile_is_not_told(directory: Path) -> None:
    _boot._beat("nobody")
    assert [*directory.iterdir()] == []
