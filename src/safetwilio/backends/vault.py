"""``vault://mount/path``: a secret of HashiCorp Vault or OpenBao, in a KV engine of version 1 or 2.

Facts: the KV and ``sys/internal/ui/mounts`` pages of Vault's HTTP API. Version 2 has numbered
versions and check-and-set; version 1 has neither, so its "version" is a digest of the content.
"""

from __future__ import annotations

import hashlib
import http
import json
from typing import TYPE_CHECKING, Any, NamedTuple

from safetwilio.backends.failures import Failures, silent
from safetwilio.backends.interface import Absent, Found
from safetwilio.backends.locate import require_options, unreadable
from safetwilio.backends.payload import merge, read
from safetwilio.backends.vault_http import Connection
from safetwilio.backends.vault_login import Login
from safetwilio.backends.vault_methods import OPTIONS, way_of
from safetwilio.problems import Attempt

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import SecretStr

    from safetwilio.backends.locate import Reference
    from safetwilio.backends.vault_http import Answer

_SERVICE = "Vault"
_KINDS = {"1": 1, "2": 2}
_VERSIONED = 2
_DIGEST = 16  # hexadecimal digits
_REFUSED = frozenset({http.HTTPStatus.UNAUTHORIZED, http.HTTPStatus.FORBIDDEN})
_UNKNOWN = (
    "It is not known whether the key was written there: look before you try again, and delete the "
    "key at Twilio if it was not."
)


class _Engine(NamedTuple):
    """The KV engine at *mount*, of which *version*, and the *path* of the secret in it."""

    version: int
    mount: str
    path: str

    @property
    def api_path(self) -> str:
        """The path in the API, which is also the one in a policy."""
        middle = "/data/" if self.version == _VERSIONED else "/"
        return f"{self.mount}{middle}{self.path}"


class _Current:
    """What is there now: the *document* (``None``: nothing), and its version in two forms.

    *version* is for people and for ``replaces=``, *number* is what version 2 compares.
    """

    __slots__ = ("document", "engine", "number", "version")

    def __init__(
        self, engine: _Engine, document: dict[str, Any] | None, number: int, version: str | None
    ) -> None:
        self.engine = engine
        self.document = document
        self.number = number
        self.version = version

    def __repr__(self) -> str:
        return f"<Current {self.engine.api_path} {self.version}>"


class VaultBackend:
    """Reads and writes one secret of a KV engine."""

    def __init__(self, reference: Reference) -> None:
        """Take path and options from *reference*; raises ST302 for what cannot be meant."""
        require_options(
            reference, "version", "namespace", "kv", "mount", "timeout", *OPTIONS, field=True
        )
        self._reference = reference
        self._way = way_of(reference)
        self._segments = _segments(reference)
        self._mount = reference.options.get("mount", "").strip("/")
        if self._mount and not f"{'/'.join(self._segments)}".startswith(f"{self._mount}/"):
            raise unreadable(reference, "Its option mount is how its path begins, up to a slash.")
        self._kind = _number(reference, "kv", "1 or 2", _KINDS)
        self._pinned = _number(reference, "version", "a number from 1", None)

    @silent
    def load(self, account: str | None) -> Found | Absent:
        """Return the record in the secret, read once and of one version.

        Raises :class:`safetwilio.errors.BackendError`: ST302 for settings, ST330 to ST333, ST335
        to ST337 and ST339 for what Vault says, and ST901 without hvac.
        """
        return self._load(account)

    @silent
    def require_writable(self) -> None:
        """Raise now what :meth:`save` would raise: ST330 if the policy does not allow to write."""
        self._require_writable()

    @silent
    def save(
        self,
        fields: Mapping[str, SecretStr],
        *,
        account: str | None,
        replaces: str | None = None,
    ) -> str:
        """Keep *fields* in the secret beside what else it holds, and return where, in words.

        Version 2 compares and sets in one step; with version 1 a writer between our reading and
        our writing is overwritten. Raises as :meth:`load`, and ST338 and ST340.
        """
        return self._save(fields, account, replaces)

    def _load(self, account: str | None) -> Found | Absent:
        with self._connection() as connection:
            login = Login(connection, self._way)
            current = self._current(connection, login)
            login.learn()
            failures = self._failures(login)
            if current.document is None:
                kind = f"KV {current.engine.version} mounted at {current.engine.mount}/"
                hint = "; its path has no data/ here" if _looks_like_the_api(current.engine) else ""
                return Absent(
                    (
                        Attempt(
                            "vault", self._reference.shown_path, f"no such secret ({kind}{hint})"
                        ),
                    ),
                    problems=tuple(connection.problems),
                )
            document = read(
                json.dumps(current.document), failures, account=account, version=current.version
            )
            answer = document.answer(account)
            if isinstance(answer, Absent):
                return answer._replace(problems=(*answer.problems, *connection.problems))
            record = answer.record
            return Found(record._replace(problems=(*record.problems, *connection.problems)))

    def _require_writable(self) -> None:
        self._refuse_a_pinned_version()
        with self._connection() as connection:
            login = Login(connection, self._way)
            current = self._current(connection, login)
            path = current.engine.api_path
            answer = login.ask("post", "sys/capabilities-self", data={"paths": [path]})
            found = answer.get("data", path)
            needed = "create" if current.document is None and not current.number else "update"
            if isinstance(found, list) and not {"root", needed} & {str(name) for name in found}:
                raise self._failures(login).denied(grant=_policy(current.engine), verb="write")

    def _save(
        self, fields: Mapping[str, SecretStr], account: str | None, replaces: str | None
    ) -> str:
        self._refuse_a_pinned_version()
        with self._connection() as connection:
            login = Login(connection, self._way)
            while True:
                current = self._current(connection, login)
                failures = self._failures(login)
                if replaces is not None and replaces != (current.version or ""):
                    raise failures.changed_meanwhile(expected=replaces, found=current.version)
                document = None if current.document is None else json.dumps(current.document)
                merged = merge(
                    document,
                    fields,
                    failures,
                    account=account,
                    style="environment" if account else "snake",
                )
                answer = self._write(login, current, json.loads(merged))
                if answer is not None:
                    return self._written(current.engine, answer)
                if replaces is not None:  # somebody was quicker than we
                    found = self._current(connection, login).version
                    raise failures.changed_meanwhile(expected=replaces, found=found)

    def _write(self, login: Login, current: _Current, document: object) -> Answer | None:
        """Return the answer to writing *document*, ``None`` if *current* is no longer there."""
        engine = current.engine
        data = {"data": document, "options": {"cas": current.number}}
        answer = login.ask(
            "post",
            engine.api_path,
            data=data if engine.version == _VERSIONED else document,  # type: ignore[arg-type]
            fix=_UNKNOWN,
        )
        if answer.status in {http.HTTPStatus.OK, http.HTTPStatus.NO_CONTENT}:
            return answer
        if answer.status in _REFUSED:
            raise login.refused(answer=answer, grant=_policy(engine), verb="write")
        if answer.says("check-and-set parameter did not match"):
            return None
        raise self._failures(login).not_written(
            why=f"{engine.api_path}: it answered {answer.status}",
            fix="A limit of its size or a rule of the mount stands against it; Vault's audit log "
            "says more.",
        )

    def _written(self, engine: _Engine, answer: Answer) -> str:
        number = answer.get("data", "version")
        version = f", version {number}" if isinstance(number, int) else ""
        return f"{self._reference} ({engine.api_path}{version})"

    def _refuse_a_pinned_version(self) -> None:
        if self._pinned is not None:
            raise Failures(self._reference, _SERVICE).not_written(
                why=f"the reference names version {self._pinned}, and versions never change",
                fix="Remove version= from the reference.",
            )

    def _connection(self) -> Connection:
        return Connection(
            self._reference,
            Failures(self._reference, _SERVICE),
            agent=self._way.method == "agent",
        )

    def _failures(self, login: Login) -> Failures:
        return Failures(self._reference, _SERVICE, login.identity)

    def _current(self, connection: Connection, login: Login) -> _Current:
        """Return what is there, of the version asked for; a deleted one raises ST335."""
        engine, answer = self._read(login, self._pinned)
        connection.failures = self._failures(login)
        if answer.status == http.HTTPStatus.OK:
            return self._understood(engine, answer, connection.failures)
        if answer.status in _REFUSED or answer.says("missing client token"):
            raise login.refused(answer=answer, grant=_policy(engine, writing=False))
        number = answer.get("data", "metadata", "version")
        if isinstance(number, int):
            destroyed = answer.get("data", "metadata", "destroyed") is True
            raise connection.failures.disabled(
                why=f"version {number} of {self._reference.path} is "
                f"{'destroyed' if destroyed else 'deleted'}",
                fix="Write the secret anew, or name another version: version=NUMBER."
                if destroyed
                else f"Bring it back: vault kv undelete -mount={engine.mount} "
                f"-versions={number} {engine.path}",
            )
        if answer.status != http.HTTPStatus.NOT_FOUND:
            raise connection.failures.unreachable(
                where=engine.api_path, why=f"it answered {answer.status}"
            )
        if self._pinned is not None and self._is_there(login):
            raise connection.failures.no_such_version(
                what=f"version {self._pinned} of {self._reference.path}",
                fix="Correct version= in the reference, or leave it out for the latest one: "
                f"vault kv metadata get -mount={engine.mount} {engine.path}",
            )
        if answer.says("no handler for route"):
            raise unreadable(
                self._reference, "Nothing is mounted there. Correct the first part of its path."
            )
        return _Current(engine, None, 0, None)

    def _is_there(self, login: Login) -> bool:
        """Return whether the secret has any version; nothing of the answer is used."""
        _, answer = self._read(login, None)
        return answer.status == http.HTTPStatus.OK or answer.get("data", "metadata") is not None

    def _understood(self, engine: _Engine, answer: Answer, failures: Failures) -> _Current:
        if engine.version != _VERSIONED:
            if self._pinned is not None:
                raise failures.no_such_version(
                    what=f"{engine.mount}/ is KV 1, which keeps no versions",
                    fix="Remove version= from the reference, or: vault kv enable-versioning "
                    f"{engine.mount}/",
                )
            document, number = answer.get("data"), 0
        else:
            document = answer.get("data", "data")
            number = answer.get("data", "metadata", "version")
        if not isinstance(document, dict) or not isinstance(number, int):
            raise failures.malformed(
                what=f"{engine.api_path} is not what KV {engine.version} answers",
                fix="Correct the path, or kv= in the reference.",
            )
        return _Current(engine, document, number, str(number) if number else _digest(document))

    def _read(self, login: Login, version: int | None) -> tuple[_Engine, Answer]:
        """Return the answer of the engine that the path leads to, and which one that is.

        If nobody may tell how it is mounted, version 2 is tried and then version 1: only one of
        the two paths can be that of a secret.
        """
        engines = self._engines(login)
        engine = engines[0]
        answer = login.ask("get", engine.api_path, version=version)
        for other in engines[1:]:
            if answer.status == http.HTTPStatus.OK or answer.get("data", "metadata") is not None:
                break
            second = login.ask("get", other.api_path)
            if second.status == http.HTTPStatus.OK or (
                # no route, no policy: it says nothing of a secret; that of the second may
                answer.status in _REFUSED
                and second.status not in _REFUSED
                and not second.says("versioned K/V")
            ):
                return other, second
        return engine, answer

    def _engines(self, login: Login) -> tuple[_Engine, ...]:
        whole = "/".join(self._segments)
        if self._kind is None:
            answer = login.ask("get", f"sys/internal/ui/mounts/{whole}")
            mount = answer.get("data", "path")
            if answer.status == http.HTTPStatus.OK and isinstance(mount, str):
                mount = mount.strip("/")
                if answer.get("data", "type") not in {"kv", "generic"}:
                    raise unreadable(self._reference, "What is mounted there is no KV engine.")
                if mount and whole.startswith(f"{mount}/"):
                    kind = 2 if answer.get("data", "options", "version") == "2" else 1
                    return (_Engine(kind, mount, whole[len(mount) + 1 :]),)
        mount = self._mount or self._segments[0]
        kinds = (2, 1) if self._kind is None else (self._kind,)
        return tuple(_Engine(kind, mount, whole[len(mount) + 1 :]) for kind in kinds)


def _segments(reference: Reference) -> tuple[str, ...]:
    if "@" in reference.path:
        raise unreadable(reference, "Remove what stands before the @: no login is read from there.")
    segments = tuple(reference.path.split("/"))
    if len(segments) < 2 or not all(map(_is_segment, segments)):  # noqa: PLR2004 - mount and path
        raise unreadable(
            reference,
            "Write the mount and the path as vault kv get takes them, without data/ in between: "
            "vault://secret/my-app/twilio",
        )
    return segments


def _is_segment(text: str) -> bool:
    # Dots are taken for a step in the path by whatever is in between, and change what is read.
    return bool(text) and text.isprintable() and text.strip() == text and text not in {".", ".."}


def _number(
    reference: Reference, option: str, wanted: str, known: Mapping[str, int] | None
) -> int | None:
    text = reference.options.get(option)
    if text is None:
        return None
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0  # noqa: PLR2004
    if not number or (known is not None and text not in known):
        raise unreadable(reference, f"Its option {option} is {wanted}.")
    return number


def _digest(document: dict[str, Any]) -> str:
    """Return what tells this content from another; it holds a secret too long to be guessed."""
    text = json.dumps(document, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGEST]


def _looks_like_the_api(engine: _Engine) -> bool:
    return engine.version == _VERSIONED and engine.path.startswith("data/")


def _policy(engine: _Engine, *, writing: bool = True) -> str:
    allowed = '"create", "read", "update"' if writing else '"read"'
    return (
        "Put this into a policy of who asks:\n"
        f'path "{engine.api_path}" {{ capabilities = [{allowed}] }}'
    )
