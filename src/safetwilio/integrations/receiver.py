"""What every framework does with a webhook: load the signing secrets once, verify, refuse.

A framework's own module only says where it keeps a request's parts. The receiver is the one place
where :class:`safetwilio.webhook_settings.WebhookSettings` and a
:class:`safetwilio.webhooks.Verifier` meet.
"""

from __future__ import annotations

import logging
import math
import os
import threading
import time
from typing import TYPE_CHECKING, Any, Literal, NamedTuple
from weakref import WeakSet

from safetwilio._boot import require_switched_on
from safetwilio.errors import WebhookError
from safetwilio.problems import render_one
from safetwilio.redaction import install as install_redaction
from safetwilio.refreshed import Event, Refreshed
from safetwilio.webhook_settings import WebhookSettings
from safetwilio.webhooks import SigningSecrets, Verifier, url_from_asgi, url_from_wsgi
from safetwilio.webhooks.headers import is_form
from safetwilio.webhooks.refusals import tell

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from safetwilio.errors import ConfigurationError
    from safetwilio.webhooks.canonical import Params

__all__ = ["MAX_BODY", "MAX_FIELDS", "Receiver", "is_form"]

MAX_BODY = 1024 * 1024  # bytes; Twilio's own webhooks have some thousand
GRACE = 900.0  # seconds
MAX_FIELDS = 1000  # of a form; Twilio's have some dozen

_log = logging.getLogger("safetwilio.webhooks")
_receivers: WeakSet[Receiver] = WeakSet()


class _Loaded(NamedTuple):
    """One version of the settings, and what was made of it.

    *both* are its secrets and the Auth Tokens of the version before, replaced at *since*.
    """

    settings: WebhookSettings
    secrets: SigningSecrets
    both: SigningSecrets | None = None
    since: float = 0.0


class _Versions(Refreshed[_Loaded]):
    """The version of now; one that goes leaves its Auth Tokens behind for *grace* seconds."""

    __slots__ = ("dropped", "grace")

    grace: float
    dropped: float  # at that time all that was left behind

    def accepted(self) -> SigningSecrets:
        """Return what a request may be signed with now."""
        loaded = self.meanwhile()
        return loaded.secrets if loaded.both is None or self._is_over(loaded) else loaded.both

    def _is_over(self, loaded: _Loaded) -> bool:
        """Return whether what *loaded* kept of the version before counts no more."""
        age = time.time() - loaded.since
        return loaded.since <= self.dropped or not 0 <= age < self.grace

    def _checked(self, before: _Loaded, after: _Loaded) -> _Loaded:
        if self._is_same(before, after):
            return after._replace(both=before.both, since=before.since)
        tokens = after.secrets.auth_tokens
        gone = [token for token in before.secrets.auth_tokens if token not in tokens]
        since = time.time()
        if not gone and before.both is not None and not self._is_over(before):
            # Only SharedKeys have changed.
            gone = [token for token in before.both.auth_tokens if token not in tokens]
            since = before.since
        if not tokens or not gone:  # without tokens of its own, it is signed with SharedKeys alone
            return after
        both = SigningSecrets((*tokens, *gone), after.secrets.shared_keys)
        return after._replace(both=both, since=since)

    def _is_same(self, before: _Loaded, after: _Loaded) -> bool:
        return after.secrets.is_same(before.secrets)


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
        _receivers.add(self)

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
        was there from then on, because it has leaked. Raises what :meth:`load` raises; the old
        secrets then stay in use.
        """
        versions = self._current().versions
        changed = versions.refresh()
        if drop_previous:
            versions.dropped = time.time()
        return changed

    def reset(self) -> None:
        """Forget what was loaded; for tests."""
        with self._lock:
            self._held = None

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
        versions.grace, versions.dropped = self._grace, -math.inf
        _say(first, "are verified")
        only = settings.shared_keys_only
        return _Held(versions, Verifier(versions.accepted, shared_keys_only=only))

    def verify_wsgi(
        self, environ: Mapping[str, Any], *, params: Params | None = None, body: bytes | None = None
    ) -> Literal[True]:
        """Return ``True`` if Twilio signed the request in the WSGI *environ*, else raise.

        A form (``is_form``) has *params*, all of them; any other request its *body*, which may
        be empty. Each refusal is one line in the log ``safetwilio.webhooks``. Raises
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
    for receiver in list(_receivers):
        receiver.reset()


def loaded() -> list[WebhookSettings]:
    """Return the settings of all receivers of this process that have loaded theirs."""
    held = [receiver._held for receiver in list(_receivers)]  # noqa: SLF001
    return [each.versions.current().settings for each in held if each is not None]


def _renew_locks() -> None:
    """Give the child of a fork locks of its own: a thread that is not here may hold one."""
    for receiver in _receivers:
        receiver._lock = threading.RLock()  # noqa: SLF001


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_locks)
