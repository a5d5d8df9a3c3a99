"""``keyring://SERVICE``: the key in the system's keyring, so that no ``.env`` is needed.

macOS Keychain, Windows Credential Locker, GNOME Keyring, KWallet: whatever the library keyring
finds. The record is one JSON object in one item, so that key and secret are of one version.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import keyring
from keyring import errors
from keyring.backends import null
from keyring.util import platform_

from safetwilio.backends import payload
from safetwilio.backends.deadline import deadline_of, run
from safetwilio.backends.failures import Failures, silent
from safetwilio.backends.interface import Absent, Found
from safetwilio.backends.locate import require_options, unreadable
from safetwilio.private_files import locked
from safetwilio.problems import Attempt

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pydantic import SecretStr

    from safetwilio.backends.deadline import Deadline
    from safetwilio.backends.locate import Reference
    from safetwilio.errors import BackendError

DEFAULT_USER = "twilio"
_SERVICE = "The system's keyring"
_VERSION_DIGITS = 12
_UNLOCK = (
    "Unlock it (log in to the desktop, or open the keyring's own program) and start again. If it "
    "asks for the password only now, give it more time: timeout=15 in the reference."
)
_NO_KEYRING = (
    "Install or start one (on Linux a Secret Service such as gnome-keyring or KWallet; "
    "`keyring diagnose` says what the library sees), or name another backend."
)


class _Item(NamedTuple):
    """What is in the keyring: a *text*, sealed from frames by its ``repr``, or ``None``."""

    text: str | None

    def __repr__(self) -> str:
        return f"<item, version {self.version or 'none'}>"

    @property
    def version(self) -> str:
        """The digest that stands for the text; empty if there is none."""
        if self.text is None:
            return ""
        return hashlib.sha256(self.text.encode()).hexdigest()[:_VERSION_DIGITS]


class KeyringBackend:
    """Reads and writes one item of the keyring."""

    def __init__(self, reference: Reference) -> None:
        """Take service and options from *reference*; raises ST302 for what cannot be meant."""
        require_options(reference, "user", "timeout")
        if not reference.path:
            raise unreadable(reference, "Name the service, as in keyring://myapp")
        self._reference = reference
        self._service = reference.path
        self._user = reference.options.get("user") or DEFAULT_USER
        self._failures = Failures(reference, _SERVICE, f"this user, in {_name_of_keyring()}")

    @silent
    def load(self, account: str | None) -> Found | Absent:
        """Return the record in the item; raises ST331 to ST333 (``BackendError``)."""
        item = self._item(deadline_of(self._reference))
        if item.text is None:
            return Absent((Attempt("keyring", self._service, f'no item of user "{self._user}"'),))
        return payload.read(
            item.text, self._failures, account=account, version=item.version
        ).answer(account)

    @silent
    def require_writable(self) -> None:
        """Raise now if there is no keyring to write to, or what it holds cannot be kept whole."""
        if isinstance(keyring.get_keyring(), null.Keyring):
            raise self._failures.not_written(
                why="keyring is switched off: its null backend keeps nothing", fix=_NO_KEYRING
            )
        self._merged(self._item(deadline_of(self._reference)), {}, None)

    @silent
    def save(
        self,
        fields: Mapping[str, SecretStr],
        *,
        account: str | None,
        replaces: str | None = None,
    ) -> str:
        """Keep *fields* in the item, what else it holds stays; raises ST331 to ST333, ST338, ST340.

        A keyring cannot compare and set: a lock keeps other processes of this machine out.
        """
        self.require_writable()
        reason = ""
        try:
            with locked(self._beside()):
                self._write(fields, account, replaces)
        except OSError as error:
            reason = error.strerror or type(error).__name__
        if reason:
            raise self._failures.not_written(
                why=f"its lock in {platform_.data_root()}: {reason}",
                fix="Make that directory writable for this user.",
            )
        return str(self._reference)

    def _write(
        self, fields: Mapping[str, SecretStr], account: str | None, replaces: str | None
    ) -> None:
        deadline = deadline_of(self._reference)
        there = self._item(deadline)
        if replaces is not None and replaces != there.version:
            raise self._failures.changed_meanwhile(expected=replaces, found=there.version)
        item = self._merged(there, fields, account)
        text = item.text or ""
        self._ask(deadline, lambda: keyring.set_password(self._service, self._user, text))
        if self._item(deadline).version != item.version:  # some backends drop what is too long
            raise self._failures.not_written(
                why="it took the item, and gave another one back", fix=_NO_KEYRING
            )

    def _merged(self, item: _Item, fields: Mapping[str, SecretStr], account: str | None) -> _Item:
        return _Item(
            payload.merge(item.text, fields, self._failures, account=account, style="environment")
        )

    def _item(self, deadline: Deadline) -> _Item:
        return _Item(self._ask(deadline, lambda: keyring.get_password(self._service, self._user)))

    def _ask(self, deadline: Deadline, call: Callable[[], Any]) -> Any:
        """Return what *call* returns in time; what the library raises becomes one of ours."""
        outcome = run(deadline, call)
        if outcome.error is None:
            return outcome.answer
        raise self._explained(outcome.error, deadline)

    def _explained(self, error: Exception, deadline: Deadline) -> BackendError:
        """Return what *error* means, by its class: its text may quote."""
        if isinstance(error, errors.KeyringLocked):
            return self._failures.unauthenticated(why="it is locked", fix=_UNLOCK)
        if isinstance(error, errors.PasswordSetError):
            return self._failures.not_written(
                why="it refused the item",
                fix="Allow this program in the keyring's own program. Windows takes no item "
                "longer than 1,280 characters.",
            )
        if isinstance(error, TimeoutError):
            why = f"no answer in {deadline.seconds:g} seconds"
            return self._failures.unreachable(where=_name_of_keyring(), why=why, fix=_UNLOCK)
        why = "there is none" if isinstance(error, errors.NoKeyringError) else type(error).__name__
        return self._failures.unreachable(where=_name_of_keyring(), why=why, fix=_NO_KEYRING)

    def _beside(self) -> Path:
        """Return the path whose lock is this item's; no file is made there but the lock."""
        root = Path(platform_.data_root())
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        digest = hashlib.sha256(f"{self._service}\0{self._user}".encode()).hexdigest()
        return root / f"safetwilio-{digest[:_VERSION_DIGITS]}"


def _name_of_keyring() -> str:
    kind = type(keyring.get_keyring())
    return f"{kind.__module__}.{kind.__qualname__}"
