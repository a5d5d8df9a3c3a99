"""What every framework does with a webhook: load the signing secrets once, verify, refuse.

A framework's own module only says where it keeps a request's parts. The receiver is the one place
where :class:`safetwilio.webhook_settings.WebhookSettings` and a
:class:`safetwilio.webhooks.Verifier` meet.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from safetwilio._boot import DEFAULT, require_switched_on
from safetwilio.errors import WebhookError
from safetwilio.problems import for_account, render_one
from safetwilio.process_state import WebhookHealth, add_receiver, is_used_no_more, receivers
from safetwilio.redaction import install as install_redaction
from safetwilio.refreshed import Event, Refreshed
from safetwilio.webhook_settings import WebhookSettings, name_of, references_of
from safetwilio.webhooks import SigningSecrets, Verifier, url_from_asgi, url_from_wsgi
from safetwilio.webhooks.headers import is_form
from safetwilio.webhooks.refusals import tell

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from pydantic import SecretStr

    from safetwilio.backends.locate import Reference
    from safetwilio.errors import ConfigurationError
    from safetwilio.webhooks.canonical import Params

__all__ = ["MAX_BODY", "MAX_FIELDS", "Receiver", "is_form"]

MAX_BODY = 1024 * 1024  # bytes; Twilio's own webhooks have some thousand
GRACE = 900.0  # seconds
MAX_FIELDS = 1000  # of a form; Twilio's have some dozen

_log = logging.getLogger("safetwilio.webhooks")


class _Loaded(NamedTuple):
    """One version of the settings, and what was made of it.

    *before* are the Auth Tokens of earlier versions and when each was replaced, the last one first;
    *all* are the secrets with those.
    """

    settings: WebhookSettings
    secrets: SigningSecrets
    before: tuple[tuple[SecretStr, float], ...] = ()
    all: SigningSecrets | None = None


class _Versions(Refreshed[_Loaded]):
    """The version of now; one that goes leaves its Auth Tokens behind for *grace* seconds."""

    __slots__ = ("dropped", "grace")

    grace: float
    dropped: tuple[SecretStr, ...]  # those that get none

    def accepted(self) -> SigningSecrets:
        """Return what a request may be signed with now."""
        loaded = self.meanwhile()
        if loaded.all is None:
            return loaded.secrets
        before = self._left(loaded)
        return loaded.all if before == loaded.before else _with(loaded.secrets, before)

    def _left(self, loaded: _Loaded) -> tuple[tuple[SecretStr, float], ...]:
        """Return what counts still of what earlier versions left behind."""
        now = time.time()
        return tuple(
            (token, since)
            for token, since in loaded.before
            if token not in self.dropped and 0 <= now - since < self.grace
        )

    def _checked(self, before: _Loaded, after: _Loaded) -> _Loaded:
        if self._is_same(before, after):
            return after._replace(before=before.before, all=before.all)
        tokens = after.secrets.auth_tokens
        # Without any it is signed with SharedKeys alone; and when one was replaced is known only
        # where it was seen lately.
        if not tokens or self._is_long_ago(self.loaded_at):
            return after
        gone = [(token, time.time()) for token in before.secrets.auth_tokens]
        known = before._replace(before=(*gone, *before.before))
        left = tuple(each for each in self._left(known) if each[0] not in tokens)
        return after._replace(before=left, all=_with(after.secrets, left)) if left else after

    def _is_same(self, before: _Loaded, after: _Loaded) -> bool:
        return after.secrets.is_same(before.secrets)


def _known(loaded: _Loaded) -> tuple[SecretStr, ...]:
    return (loaded.all or loaded.secrets).auth_tokens


def _with(secrets: SigningSecrets, before: Iterable[tuple[SecretStr, float]]) -> SigningSecrets:
    tokens = (token for token, _ in before)
    return SigningSecrets((*secrets.auth_tokens, *tokens), secrets.shared_keys)


class _Held(NamedTuple):
    """What is loaded, and the verifier that asks it."""

    versions: _Versions
    verifier: Verifier


class Receiver:
    """Receives the webhooks of one account: loads what they are signed with, and verifies them.

    *settings* makes the :class:`safetwilio.webhook_settings.WebhookSettings`; it is called by
    :meth:`load`, at the latest for the first request. One receiver serves all threads. Secrets that
    are old (``SAFETWILIO_REFRESH_AGE``) are loaded anew while requests go on with those that are
    there. An Auth Token that was replaced is accepted for *grace* seconds more: what Twilio has
    signed with it may be on its way.
    """

    def __init__(
        self, settings: Callable[[], WebhookSettings] = WebhookSettings, *, grace: float = GRACE
    ) -> None:
        """Take what makes the *settings*; nothing is loaded yet."""
        self._make = settings
        self._grace = grace
        self._held: _Held | None = None
        self._lock = threading.RLock()
        add_receiver(self)

    def load(self) -> WebhookSettings:
        """Return the settings, loaded now if they are not yet: what an application does at start.

        Redaction is installed before. Raises :class:`safetwilio.errors.ConfigurationError` (ST2xx
        to ST4xx), at the next call again unless it was mended, and
        :class:`safetwilio.errors.UsageError` (ST904) with ``SAFETWILIO_BOOT=off``.
        """
        return self._current().versions.current().settings

    def refresh(self, *, drop_previous: bool = False) -> bool:
        """Load the secrets anew, and return whether they are others now.

        The next request is verified with them. To *drop_previous* is to refuse the Auth Token that
        was there as soon as another one is, because it has leaked. Raises what :meth:`load` raises;
        the old secrets then stay in use until they are looked for again.
        """
        versions = self._current().versions
        if not drop_previous:
            return versions.refresh()
        before = _known(versions.current())
        versions.dropped = before  # also if the look fails: it will be made again
        changed = versions.refresh()
        now = versions.current().secrets.auth_tokens
        versions.dropped = tuple(token for token in before if token not in now) or before
        return changed

    async def catch_up(self) -> None:
        """Wait for what a request may be signed with, before :meth:`verify_asgi`.

        It is there already, unless nobody has looked for it for long (twice
        ``SAFETWILIO_REFRESH_AGE``); then it is waited for, for ``SAFETWILIO_REFRESH_WAIT`` seconds
        at most. Raises what :meth:`load` raises.
        """
        await self._current().versions.catch_up_async()

    def health(self) -> WebhookHealth | None:
        """Return what is loaded, from where and how old, ``None`` if nothing is."""
        held = self._held
        if held is None:
            return None
        versions, loaded = held.versions, held.versions.current()
        settings, name = loaded.settings, name_of(loaded.settings)
        return WebhookHealth(
            name=name or DEFAULT,
            source=settings.source,
            version=settings.version,
            age=max(0.0, time.time() - versions.loaded_at),
            auth_tokens=len(loaded.secrets.auth_tokens),
            shared_keys=len(settings.shared_keys),
            warnings=settings.warnings,
            not_refreshed=for_account(versions.not_refreshed, name),
            is_stale=is_used_no_more(versions),
        )

    def references(self) -> tuple[Reference, ...]:
        """Return where it has loaded from, empty if nothing is loaded or it was given.

        Raises :class:`safetwilio.errors.BackendError` (ST302) for a reference that cannot be read.
        """
        held = self._held
        return () if held is None else references_of(held.versions.current().settings)

    def reset(self) -> None:
        """Forget what was loaded; for tests."""
        with self._lock:
            self._held = None

    def forget_threads(self) -> None:
        """Take a new lock in a forked child: a thread that is not here may hold the old one."""
        self._lock = threading.RLock()

    def _current(self) -> _Held:
        held = self._held
        if held is not None:
            return held
        with self._lock:
            if self._held is None:
                require_switched_on("webhooks were to be verified")
                install_redaction()
                self._held = self._started(self._make())
            return self._held

    def _started(self, settings: WebhookSettings) -> _Held:
        first = _Loaded(settings, settings.secrets())
        versions = _Versions(
            first, lambda: _reloaded(versions), policy=settings.refresh_policy, tell=_tell
        )
        versions.grace, versions.dropped = self._grace, ()
        _say(first, "are verified")
        only = settings.shared_keys_only
        return _Held(versions, Verifier(versions.accepted, shared_keys_only=only))

    def verify_wsgi(
        self, environ: Mapping[str, Any], *, params: Params | None = None, body: bytes | None = None
    ) -> Literal[True]:
        """Return ``True`` if Twilio signed the request in the WSGI *environ*, else raise.

        A form (``is_form``) has *params*, all of them; any other request its *body*, which may
        be empty. Secrets that nobody has looked for in long (:meth:`catch_up`) are waited for, but
        not in the thread of an event loop. Each refusal is one line in the log
        ``safetwilio.webhooks``. Raises
        :class:`safetwilio.errors.WebhookError` (ST401 to ST406) for a request to answer with its
        status, and what :meth:`load` raises.
        """
        try:
            return self._verify(url_from_wsgi, environ, environ, params, body)
        finally:
            del environ, params, body  # no frame of a refusal shows the request

    def verify_asgi(
        self, scope: Mapping[str, Any], *, params: Params | None = None, body: bytes | None = None
    ) -> Literal[True]:
        """Return ``True`` if Twilio signed the request with the ASGI *scope*, else raise.

        All else is as with :meth:`verify_wsgi`.
        """
        try:
            return self._verify(url_from_asgi, scope, scope["headers"], params, body)
        finally:
            del scope, params, body

    def _verify(
        self,
        url_from: Callable[..., str],
        request: Any,
        headers: Any,
        params: Params | None,
        body: Any,
    ) -> Literal[True]:
        versions, verifier = self._current()
        versions.catch_up()
        settings = versions.current().settings
        url = ""
        refused: WebhookError | None = None
        try:
            url = url_from(request, settings.public_url, proxies=settings.proxies)
        except WebhookError as error:  # the verifier tells of its own refusals
            refused = error
        try:
            if refused is not None:
                tell(refused)
                raise refused
            return verifier.verify(url, params=params, body=body, headers=headers)
        finally:
            del request, headers, params, body, url


def _reloaded(versions: _Versions) -> _Loaded:
    settings = versions.current().settings.reload()
    return _Loaded(settings, settings.secrets())


def _tell(event: Event, loaded: _Loaded, error: ConfigurationError | None) -> None:
    if error is not None:
        _log.warning("%s", type(error)(error.problems, account=error.account, is_running=True))
    elif event == "replaced":
        _say(loaded, "are verified from now on")
    else:
        _say(loaded, "can be looked for again, and are verified")


def _say(loaded: _Loaded, what: str) -> None:
    settings = loaded.settings
    for warning in settings.warnings:
        _log.warning("%s", render_one(warning))
    _log.info("Webhooks %s with %r from %s", what, loaded.secrets, settings.source)


def reset_all() -> None:
    """Let every receiver forget what was loaded; for tests."""
    for each in receivers():
        each.reset()
