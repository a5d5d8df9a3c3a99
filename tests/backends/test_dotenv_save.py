"""Writing a key into a ``.env``: what changes, what stays, and what a failure leaves."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from dotenv import dotenv_values
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from safetwilio import private_files
from safetwilio.backends import disk, dotenv
from safetwilio.backends.dotenv import DotenvBackend
from safetwilio.backends.interface import Found
from safetwilio.backends.locate import parse
from safetwilio.errors import BackendDenied, BackendError
from support import Key, caught, clean_environment, new_key

if TYPE_CHECKING:
    from collections.abc import Mapping


def backend(path: Path) -> DotenvBackend:
    return DotenvBackend(parse(f"dotenv:{path}", place="test")[0])


def fields(key: Key) -> Mapping[str, SecretStr]:
    return {
        "account_sid": SecretStr(key.account),
        "key_sid": SecretStr(key.sid),
        "secret": SecretStr(key.secret),
    }


@pytest.fixture
def env(tmp_path: Path) -> Path:
    return tmp_path / ".env"


def saved(env: Path, text: str, key: Key, account: str | None = None) -> str:
    env.write_bytes(text.encode())
    assert backend(env).save(fields(key), account=account) == str(env)
    return env.read_bytes().decode()


def test_a_new_file_holds_the_key_and_nothing_else(env: Path, key: Key) -> None:
    backend(env).save(fields(key), account=None)
    assert env.read_text() == key.dotenv()
    assert stat.S_IMODE(env.stat().st_mode) == 0o600
    assert [path.name for path in env.parent.iterdir()] == [".env"]
    backend(env).save(fields(key), account="marketing")
    assert env.read_text() == key.dotenv() + key.dotenv("marketing")


def test_other_lines_stay_as_they_are(env: Path, key: Key) -> None:
    before = "# top\n\nA=1\nexport B='two\nlines'\n  # end\nbroken line here\n"
    assert saved(env, before, key) == before + key.dotenv()


def test_a_last_line_without_an_end_gets_one(env: Path, key: Key) -> None:
    assert saved(env, "A=1", key) == "A=1\n" + key.dotenv()


def test_windows_line_ends_stay_and_are_used(env: Path, key: Key) -> None:
    before = "# top\r\nA=1\r\nTWILIO_API_KEY=old\r\n\r\nB=2\r\n"
    ours = {line.partition("=")[0]: line for line in key.dotenv().splitlines()}
    assert saved(env, before, key) == (
        f"# top\r\nA=1\r\n{ours['TWILIO_API_KEY']}\r\n\r\nB=2\r\n"
        f"{ours['TWILIO_ACCOUNT_SID']}\r\n{ours['TWILIO_API_SECRET']}\r\n"
    )


def test_old_values_give_way_where_they_stood(env: Path, key: Key) -> None:
    before = (
        "A=1\n\n# the key\nTWILIO_API_KEY_SID=old\n\nexport TWILIO_API_KEY_SECRET='old' # mine\n"
        "B=2\n\nTWILIO_API_SECRET_FILE=/run/x\nTWILIO_API_KEY=older\n   TWILIO_ACCOUNT_SID=\n"
        "TWILIO_API_KEY_FILE=y\nC=3"
    )
    assert saved(env, before, key) == (
        f"A=1\n\n# the key\nTWILIO_API_KEY={key.sid}\n\nexport TWILIO_API_SECRET={key.secret}\n"
        f"B=2\n\nTWILIO_ACCOUNT_SID={key.account}\nC=3"
    )


def test_another_account_s_names_stay(env: Path, key: Key) -> None:
    before = new_key().dotenv()
    assert saved(env, before, key, "marketing") == before + key.dotenv("marketing")


def test_a_byte_order_mark_does_not_hide_the_first_name(env: Path, key: Key) -> None:
    assert saved(env, "\ufeffTWILIO_API_KEY=old\n", key).count("TWILIO_API_KEY=") == 1


_LINES = st.one_of(
    st.text(max_size=20),
    st.from_regex(r"\A(export )?[A-Z_]{1,8}=[^\n]{0,12}\Z"),
    st.sampled_from(["# comment", "", "  ", "A='x\ny'", 'B="unended', "TWILIO_API_KEY", "C='it'"]),
    st.builds(
        "{}TWILIO_{}{}={}".format,
        st.sampled_from(["", "export ", "  "]),
        st.sampled_from(["API_KEY", "API_SECRET", "ACCOUNT_SID", "API_KEY_SECRET", "AUTH_TOKEN"]),
        st.sampled_from(["", "_FILE"]),
        st.sampled_from(["", "old", "'quoted'", '"two\nlines"', "${A}"]),
    ),
)


@given(lines=st.lists(_LINES, max_size=8), end=st.sampled_from(["\n", "\r\n"]))
def test_whatever_the_file_says_the_key_is_read_back_and_the_rest_is_the_same(
    tmp_path_factory: pytest.TempPathFactory, lines: list[str], end: str
) -> None:
    env = tmp_path_factory.getbasetemp() / "any.env"
    text = end.join(lines).replace("\0", "").encode("utf-8", "ignore").decode("utf-8-sig")
    key = new_key()
    before = _others(env, text)
    saved(env, text, key)
    found = backend(env).load(None)
    assert isinstance(found, Found)
    said = {name: value.reveal() for name, value in found.record.fields.items()}
    assert (said["account_sid"], said["key_sid"], said["secret"]) == key
    assert _others(env, env.read_bytes().decode()) == before


def _others(env: Path, text: str) -> dict[str, str | None]:
    env.write_bytes(text.encode())
    values = dotenv_values(env, interpolate=False)
    ours = ("TWILIO_ACCOUNT_SID", "TWILIO_API_KEY", "TWILIO_API_SECRET")
    return {name: value for name, value in values.items() if not name.startswith(ours)}


@pytest.mark.skipif(os.name != "posix", reason="links have owners on POSIX")
@pytest.mark.parametrize("owner", ["another user", "this user", "root", "the directory's owner"])
def test_a_link_that_another_user_has_made_is_not_written_through(
    env: Path, key: Key, monkeypatch: pytest.MonkeyPatch, owner: str
) -> None:
    """In ``/tmp`` anybody may put a ``.env`` that leads to a file of whoever runs init."""
    victim = env.parent / "profile"
    victim.write_text("PATH=/bin\n")
    env.symlink_to(victim)
    stranger = max(os.geteuid(), env.parent.stat().st_uid) + 1
    uid = {"another user": stranger, "root": 0, "this user": os.geteuid()}.get(owner, stranger)
    _let_own(monkeypatch, env, uid)
    if owner == "the directory's owner":
        _let_own(monkeypatch, env.parent, uid)
    refusal = caught(backend(env).require_writable)
    failure = caught(lambda: backend(env).save(fields(key), account=None))
    monkeypatch.undo()
    if owner == "another user":
        assert isinstance(refusal, BackendDenied)
        assert "a link that another user has made" in str(refusal)
        assert isinstance(failure, BackendDenied)
        assert victim.read_text() == "PATH=/bin\n"
    else:
        assert refusal is failure is None
        assert victim.read_text() == "PATH=/bin\n" + key.dotenv()


def _let_own(monkeypatch: pytest.MonkeyPatch, path: Path, uid: int) -> None:
    """Let *path* seem to belong to *uid*: only root could really give it away."""
    real, path_is_link = Path.stat, path.is_symlink()

    def told(self: Path, *, follow_symlinks: bool = True) -> os.stat_result:
        status = real(self, follow_symlinks=follow_symlinks)
        asked = self == path and follow_symlinks is not path_is_link
        return os.stat_result((*status[:4], uid, *status[5:])) if asked else status

    monkeypatch.setattr(Path, "stat", told)


def test_a_link_stays_and_the_file_it_names_is_written(env: Path, key: Key) -> None:
    (env.parent / "conf").mkdir()
    env.symlink_to("conf/real.env")
    backend(env).save(fields(key), account=None)
    assert env.is_symlink()
    assert (env.parent / "conf" / "real.env").read_text() == key.dotenv()
    assert stat.S_IMODE(env.stat().st_mode) == 0o600


def test_the_owner_stays(env: Path, key: Key, monkeypatch: pytest.MonkeyPatch) -> None:
    given_to: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "fchown", lambda _, user, group: given_to.append((user, group)))
    env.touch()
    backend(env).save(fields(key), account=None)
    owner = (env.stat().st_uid, env.stat().st_gid)
    assert given_to == [owner, owner]  # of the file, and of the lock that a kill may leave


@pytest.mark.parametrize("step", ["mkstemp", "fsync", "replace"])
def test_a_failure_on_the_way_leaves_the_file_as_it_was(
    env: Path, key: Key, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    env.write_text("A=1\n")
    where = {"mkstemp": private_files.tempfile, "fsync": os, "replace": Path}[step]
    monkeypatch.setattr(where, step, fail)
    with pytest.raises(BackendDenied) as caught:
        backend(env).save(fields(key), account=None)
    monkeypatch.undo()
    assert caught.value.code == "ST307"
    assert "No space left on device" in str(caught.value)
    assert env.read_text() == "A=1\n"
    assert [path.name for path in env.parent.iterdir()] == [".env"]


def test_an_error_without_words_is_named(
    env: Path, key: Key, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise TimeoutError

    monkeypatch.setattr(dotenv, "write_private", fail)
    with pytest.raises(BackendDenied, match="TimeoutError"):
        backend(env).save(fields(key), account=None)


def test_a_directory_that_cannot_be_synced_is_no_failure(
    env: Path, key: Key, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The new content is in place by then; a failure would undo the key that it holds."""
    real = os.fsync

    def fsync(handle: int) -> None:
        if stat.S_ISDIR(os.fstat(handle).st_mode):
            raise OSError(22, "Invalid argument")
        real(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    backend(env).save(fields(key), account=None)
    assert env.read_text() == key.dotenv()


def test_where_directories_cannot_be_synced_nothing_is_tried(
    env: Path, key: Key, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "name", "nt")
    monkeypatch.delattr(os, "fchown", raising=False)
    monkeypatch.delattr(os, "geteuid", raising=False)
    private_files.sync_directory(env.parent / "missing")
    private_files._keep_owner(env, -1)
    assert not disk.is_foreign_link(env)
    monkeypatch.undo()
    backend(env).save(fields(key), account=None)


@pytest.mark.parametrize("what", ["missing", "a file", "a directory"])
def test_what_cannot_be_written_is_known_before(env: Path, what: str) -> None:
    place = env / ".env"
    if what == "a file":
        env.touch()
    elif what == "a directory":
        place.mkdir(parents=True)
    with pytest.raises(BackendError) as caught:
        backend(place).require_writable()
    assert caught.value.code == ("ST308" if what == "a directory" else "ST307")


def test_what_a_killed_process_left_is_removed_and_a_young_one_is_not(env: Path, key: Key) -> None:
    old, young, other = (
        env.parent / f".env.{n}" for n in ("safetwilio-a", "safetwilio-b", "local")
    )
    for path in (old, young, other):
        path.write_text(key.secret)
    os.utime(old, (0, 0))
    os.utime(other, (0, 0))
    backend(env).save(fields(key), account=None)
    assert sorted(p.name for p in env.parent.iterdir()) == [
        ".env", ".env.local", ".env.safetwilio-b",
    ]  # fmt: skip


_KILLED_AT = """\
import os, signal, sys, tempfile
from pathlib import Path

def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

def then_die(function):
    def call(*arguments, **named):
        function(*arguments, **named)
        die()
    return call

step, path, account, sid, secret = sys.argv[1:]
from pydantic import SecretStr
from safetwilio.backends.dotenv import DotenvBackend
from safetwilio.backends.locate import parse
if step == "made":
    tempfile.mkstemp = then_die(tempfile.mkstemp)
elif step == "written":
    os.fsync = die
elif step == "synced":
    os.fsync = then_die(os.fsync)
elif step == "replacing":
    Path.replace = die
elif step == "replaced":
    Path.replace = then_die(Path.replace)
fields = {"account_sid": account, "key_sid": sid, "secret": secret}
DotenvBackend(parse("dotenv:" + path, place="test")[0]).save(
    {name: SecretStr(value) for name, value in fields.items()}, account=None
)
"""


@pytest.mark.parametrize("step", ["made", "written", "synced", "replacing", "replaced"])
@pytest.mark.parametrize("old", [None, "A=1\n"])
def test_killed_at_any_step_the_file_is_the_old_or_the_new(
    env: Path, key: Key, step: str, old: str | None
) -> None:
    if old is not None:
        env.write_text(old)
        env.chmod(0o644)
    done = subprocess.run(
        [sys.executable, "-c", _KILLED_AT, step, str(env), *key],
        env=clean_environment(),
        umask=0,
        check=False,
    )
    assert done.returncode == -9
    left = {path.name: path for path in env.parent.iterdir() if path != env}
    lock = left.pop(".env.safetwilio-lock")  # nobody's, and so the next one's
    assert (lock.read_bytes(), stat.S_IMODE(lock.stat().st_mode)) == (b"", 0o600)
    if step == "replaced":
        assert env.read_text() == (old or "") + key.dotenv()
        assert not left
        return
    assert (env.read_text() if env.exists() else None) == old
    ((name, remains),) = left.items()  # one file, which only its owner can read
    assert name.startswith(".env.safetwilio-")
    assert stat.S_IMODE(remains.stat().st_mode) == 0o600
    os.utime(remains, (0, 0))
    backend(env).save(fields(key), account=None)
    assert [path.name for path in env.parent.iterdir()] == [".env"]
