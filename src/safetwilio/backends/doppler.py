"""``doppler://project/config?timeout=&endpoint=``: a config of Doppler; ``doppler:`` for a token.

A service token belongs to one config, so that nothing has to be named. Only the names that are
ours are asked for, and dynamic secrets never, because asking for one issues a lease. Facts: the
API reference of Doppler ("Download", "Update") and what its own CLI 3.77 sends.
"""

from __future__ import annotations

import hashlib
import hmac
import http
import os
import re
import secrets
import threading
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import SecretStr

from safetwilio.backends.addresses import is_safe
from safetwilio.backends.deadline import OPTION as TIMEOUT
from safetwilio.backends.deadline import Deadline, deadline_of
from safetwilio.backends.disk import read_secret_file
from safetwilio.backends.documents import Document, is_secret, variables
from safetwilio.backends.doppler_changes import changes, has_part, took
from safetwilio.backends.doppler_http import Request, ask
from safetwilio.backends.failures import Failures, silent
from safetwilio.backends.interface import Absent, seal
from safetwilio.backends.locate import require_options, unreadable
from safetwilio.problems import Attempt

if TYPE_CHECKING:
    from collections.abc import Mapping

    from safetwilio.backends.doppler_http import Answer
    from safetwilio.backends.interface import Found
    from safetwilio.backends.locate import Reference
    from safetwilio.errors import BackendError

SERVICE = "Doppler"
TOKEN = "DOPPLER_TOKEN"  # noqa: S105 - a variable's name
TOKEN_FILE = "DOPPLER_TOKEN_FILE"  # noqa: S105
_HOST = "https://api.doppler.com"
_SECRETS = "/v3/configs/config/secrets"
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,128}")
_SEGMENTS = 2
_TOKEN = re.compile(r"[!-~]{8,512}")
_ETAG = re.compile(r'(?:W/)?"([A-Za-z0-9+/=_.:-]{1,128})"')
_DIGEST = 16  # hexadecimal digits
_MOST_KEPT = 16  # answers; a program has one or two
_KINDS = {
    "dp.st.": "the service token",
    "dp.sa.": "the service account token",
    "dp.said.": "the service account identity token",
    "dp.ct.": "the CLI token",
    "dp.pt.": "the personal token",
}
_PAIR_OF_NAMES = (
    "Write doppler://PROJECT/CONFIG, as in doppler://shop/prd. With a service token, which belongs "
    "to one config, write doppler: alone."
)
_UNKNOWN = (
    "It is not known whether the key was written there: look before you try again, and delete the "
    "key at Twilio if it was not."
)


class _Login(NamedTuple):
    """A *token*, and in words whose it is."""

    token: SecretStr
    identity: str


class _Known(NamedTuple):
    """What a config held: our names' *texts*, and the *etag* and *version* of the answer."""

    texts: Mapping[str, SecretStr]
    etag: str
    version: str


class _Kept:
    """The last answers of this process, so that to ask again costs Doppler and us nothing.

    A child of a fork starts without. Keys are digests under a key of this process alone: a
    token cannot be read or guessed from them.
    """

    def __init__(self) -> None:
        self._start_anew()

    def _start_anew(self) -> None:
        self._process = os.getpid()
        self._lock = threading.Lock()
        self._salt = secrets.token_bytes(32)
        self._answers: dict[bytes, _Known] = {}

    def key(self, request: Request) -> bytes:
        """Return what *request* is known by."""
        if self._process != os.getpid():
            self._start_anew()
        parts = [request.address, *map("=".join, sorted(request.parameters.items()))]
        text = "\n".join([request.token.get_secret_value(), *parts])
        return hmac.digest(self._salt, text.encode(), "sha256")

    def get(self, key: bytes) -> _Known | None:
        """Return the last answer under *key*."""
        with self._lock:
            return self._answers.get(key)

    def put(self, key: bytes, known: _Known) -> None:
        """Keep *known* under *key*; of too many the oldest goes."""
        with self._lock:
            self._answers.pop(key, None)
            self._answers[key] = known
            while len(self._answers) > _MOST_KEPT:
                del self._answers[next(iter(self._answers))]


_kept = _Kept()


class DopplerBackend:
    """Reads and writes the Twilio names of one config."""

    def __init__(self, reference: Reference) -> None:
        """Take project and config from *reference*."""
        require_options(reference, "endpoint", TIMEOUT)
        self._reference = reference
        parts = reference.path.split("/") if reference.path else []
        if parts and not (len(parts) == _SEGMENTS and all(map(_NAME.fullmatch, parts))):
            raise unreadable(reference, _PAIR_OF_NAMES)
        self._project, self._config = parts or ("", "")
        endpoint = reference.options.get("endpoint", _HOST)
        if not is_safe(endpoint):
            raise Failures(reference, SERVICE).plain_http(where="its option endpoint")
        if "?" in endpoint or "#" in endpoint:
            raise unreadable(reference, "Its option endpoint is an address without ? and #.")
        self._address = endpoint.rstrip("/") + _SECRETS
        self._shown = reference.shown_path or "the config of the service token"

    @silent
    def load(self, account: str | None) -> Found | Absent:
        """Return the record in the config.

        Raises :class:`safetwilio.errors.BackendError` (ST33x).
        """
        deadline = deadline_of(self._reference)
        login = self._login()
        known = self._get(login, account, deadline)
        if known is None:
            why = "no such project or config, or none that this token may know of"
            return Absent((Attempt("doppler", self._shown, why),))
        texts = {
            name: seal(text.get_secret_value(), f"{self._reference} {name}", secret=is_secret(name))
            for name, text in known.texts.items()
        }
        source = str(self._reference)
        return Document(
            source, texts, place=source, missing="not in the config", version=known.version
        ).answer(account)

    @silent
    def require_writable(self) -> None:
        """Raise (ST33x, ST340) if the config cannot be read; only a write shows if it is allowed.

        Writing makes no project and no config.
        """
        login = self._login()
        if self._get(login, None, deadline_of(self._reference)) is None:
            raise self._no_config(login)

    @silent
    def save(
        self,
        fields: Mapping[str, SecretStr],
        *,
        account: str | None,
        replaces: str | None = None,
    ) -> str:
        """Keep *fields* under their environment names; all other names of the config stay.

        Doppler compares each value with the one read before, so that what somebody wrote
        meanwhile stays; but it has no version to compare, and a name that was not there is not
        compared. Raises :class:`safetwilio.errors.BackendError` (ST33x, ST338, ST340).
        """
        deadline = deadline_of(self._reference)
        login = self._login()
        before = self._get(login, account, deadline)
        if before is None:
            raise self._no_config(login)
        is_expected = replaces == before.version or (replaces == "" and not before.texts)
        if replaces is not None and not is_expected:
            raise self._failures(login).changed_meanwhile(
                expected=_plain(replaces), found=before.version
            )
        wanted = {"change_requests": changes(fields, before.texts, account)}
        request = self._request(login, "POST", data=wanted)
        answer = ask(request, deadline, self._failures(login), fix=_UNKNOWN)
        if answer.status == http.HTTPStatus.OK and took(answer.body, fields, before.texts, account):
            return str(self._reference)
        self._require_welcome(answer, login, verb="write")
        raise self._refused(answer, fields, before, self._get(login, account, deadline), login)

    def _refused(
        self,
        answer: Answer,
        fields: Mapping[str, SecretStr],
        before: _Known,
        now: _Known | None,
        login: _Login,
    ) -> BackendError:
        """Return what it means that Doppler's *answer* was no, by what is there *now*."""
        failures = self._failures(login)
        if now is not None and has_part(now.texts, fields, before.texts):
            return failures.not_written(
                why="it kept a part of it only, because somebody changed the rest meanwhile",
                fix="Roll the last change back in the config's log in Doppler's dashboard. Then "
                "try again.",
            )
        if now is not None and now.version != before.version:
            return failures.changed_meanwhile(expected=before.version, found=now.version)
        return failures.not_written(
            why=f"it answered with HTTP {answer.status}, and the config is as it was",
            fix="If one of these values is a reference to another config (${...}), write it there. "
            "The config's log in Doppler's dashboard may say more.",
        )

    def _get(self, login: _Login, account: str | None, deadline: Deadline) -> _Known | None:
        """Return what the config holds for *account*, ``None`` if there is no such config."""
        names = sorted(_names(account))
        request = self._request(login, "GET", names)
        key = _kept.key(request)
        known = _kept.get(key)
        if known is not None:
            request = request._replace(etag=known.etag)
        failures = self._failures(login)
        answer = ask(request, deadline, failures)
        if answer.status == http.HTTPStatus.NOT_MODIFIED and known is not None:
            return known
        if answer.status == http.HTTPStatus.NOT_FOUND:
            return None
        self._require_welcome(answer, login, verb="read")
        if answer.status in {http.HTTPStatus.BAD_REQUEST, http.HTTPStatus.UNPROCESSABLE_ENTITY}:
            raise unreadable(
                self._reference, f"Doppler does not take this project and config. {_PAIR_OF_NAMES}"
            )
        if answer.status != http.HTTPStatus.OK or answer.body is None:
            raise failures.unreachable(
                where=self._shown, why=f"it answered with HTTP {answer.status}"
            )
        fresh = _understood(answer, names, failures)
        if fresh.etag:
            _kept.put(key, fresh)
        return fresh

    def _require_welcome(self, answer: Answer, login: _Login, *, verb: str) -> None:
        """Raise ST331 or ST330 if *answer* says that the token may not *verb*."""
        if answer.status == http.HTTPStatus.UNAUTHORIZED:
            raise self._failures(login).unauthenticated(
                why="the token is not valid: revoked, expired, or not copied whole",
                fix=f"Make a new service token on the config's Access page and set {TOKEN}, or: "
                "doppler configs tokens create safetwilio --plain",
            )
        if answer.status == http.HTTPStatus.FORBIDDEN:
            access = "read/write" if verb == "write" else "read"
            raise self._failures(login).denied(
                grant=f"Give it {access} access to {self._shown}, or make a service token: doppler "
                f"configs tokens create safetwilio --plain --access {access}. A list of trusted "
                "IPs in Doppler may also keep this machine out.",
                verb=verb,
            )

    def _no_config(self, login: _Login) -> BackendError:
        return self._failures(login).not_written(
            why=f"{self._shown}: no such project or config, or none that this token may know of",
            fix="Correct the reference, or make it first: doppler configs create",
        )

    def _request(
        self, login: _Login, method: str, names: list[str] | None = None, data: object = None
    ) -> Request:
        parameters = {"project": self._project, "config": self._config}
        if names is None:
            return Request(method, self._address, parameters, login.token, data=data)
        wanted = {"format": "json", "include_dynamic_secrets": "false", "secrets": ",".join(names)}
        return Request(method, f"{self._address}/download", parameters | wanted, login.token)

    def _login(self) -> _Login:
        """Return the token of the environment or of the file that it names.

        Raises ST331 if there is none, or it is none; ST305 for a file that is missing.
        """
        place, text = f"env {TOKEN}", os.environ.get(TOKEN, "")
        path = os.environ.get(TOKEN_FILE, "").strip()
        if not text.strip() and path:
            place = f"env {TOKEN_FILE}"
            text, _ = read_secret_file(path, place)
        token = seal(text, place, secret=True).reveal()
        failures = Failures(self._reference, SERVICE)
        if not token:
            raise failures.unauthenticated(
                why=f"env {TOKEN} and env {TOKEN_FILE} are not set"
                if not path
                else f"the file named by {place} is empty",
                fix=f"Make a service token on the config's Access page and set {TOKEN} to it.",
            )
        if not _TOKEN.fullmatch(token):
            raise failures.unauthenticated(
                why=f"{place}: {len(token)} characters that are no token",
                fix="Copy the token whole, without spaces and line breaks.",
            )
        kind = next((words for start, words in _KINDS.items() if token.startswith(start)), None)
        where = place.removeprefix("env ")
        named = f"the file of {where}" if where == TOKEN_FILE else where
        return _Login(SecretStr(token), f"{kind or 'a token of unknown kind'} in {named}")

    def _failures(self, login: _Login) -> Failures:
        return Failures(self._reference, SERVICE, login.identity)


def _names(account: str | None) -> frozenset[str]:
    """Return what is asked for: a path in a ``…_FILE`` would be one of another machine."""
    return frozenset(name for name in variables(account) if not name.endswith("_FILE"))


def _understood(answer: Answer, names: list[str], failures: Failures) -> _Known:
    body: dict[str, Any] = answer.body or {}
    texts: dict[str, SecretStr] = {}
    for name in names:  # DOPPLER_PROJECT and its like come unasked
        value = body.get(name)
        if value is None:
            continue
        if not isinstance(value, str):
            raise failures.malformed(
                what=f"{name} is a {type(value).__name__}, not a text",
                fix="Set its value type to string in Doppler.",
            )
        texts[name] = SecretStr(value)
    etag = _ETAG.fullmatch(answer.etag)
    return _Known(texts, etag[0] if etag else "", etag[1] if etag else _digest(texts))


def _digest(texts: Mapping[str, SecretStr]) -> str:
    """Return what tells these values from others; one of them is too long to be guessed."""
    lines = (f"{name}={len(text)}:{text.get_secret_value()}" for name, text in texts.items())
    return hashlib.sha256("\n".join(lines).encode("utf-8", "replace")).hexdigest()[:_DIGEST]


def _plain(version: str) -> str:
    """Return *version* if it may be one; what a caller hands in by mistake is not shown."""
    return version if not version or _ETAG.fullmatch(f'"{version}"') else "another version"


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_kept._start_anew)  # noqa: SLF001
