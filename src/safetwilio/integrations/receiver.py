"""What every framework does with a webhook: load the signing secrets once, verify, refuse.

A framework's own module only says where it keeps a request's parts. The receiver is the one place
where :class:`safetwilio.webhook_settings.WebhookSettings` and a
:class:`safetwilio.webhooks.Verifier` meet.
"""

from __future__ import annotations

import logging
import os
import threading
from typing import TYPE_CHECKING, Any, Literal, NamedTuple
from weakref import WeakSet

from safetwilio._boot import require_switched_on
from safetwilio.errors import WebhookError
from safetwilio.problems import render_one
from safetwilio.redaction import install as install_redaction
from safetwilio.webhook_settings import WebhookSettings
from safetwilio.webhooks import Verifier, url_from_asgi, url_from_wsgi
from safetwilio.webhooks.headers import is_form
from safetwilio.webhooks.refusals import tell

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from safetwilio.webhooks import SigningSecrets
    from safetwilio.webhooks.canonical import Params

__all__ = ["MAX_BODY", "MAX_FIELDS", "Receiver", "is_form"]

MAX_BODY = 1024 * 1024  # bytes; Twilio's own webhooks have some thousand
MAX_FIELDS = 1000  # of a form; Twilio's have some dozen

_log = logging.getLogger("safetwilio.webhooks")
_receivers: WeakSet[Receiver] = WeakSet()


class _Loaded(NamedTuple):
    """One version of the settings, and what was made of it."""

    settings: WebhookSettings
    secrets: SigningSecrets
    verifier: Verifier


class Receiver:
    """Receives the webhooks of one account: loads what they are signed with, and verifies them.

    *settings* makes the :class:`safetwilio.webhook_settings.WebhookSettings`; it is called by
    :meth:`load`, at the latest for the first request. One receiver serves all threads.
    """

    def __init__(self, settings: Callable[[], WebhookSettings] = WebhookSettings) -> None:
        """Take what makes the *settings*; nothing is loaded yet."""
        self._make = settings
        self._loaded: _Loaded | None = None
        self._lock = threading.RLock()
        self._refreshing = threading.Lock()
        _receivers.add(self)

    def load(self) -> WebhookSettings:
        """Return the settings, loaded now if they are not yet: what an application does at start.

        Redaction is installed before. Raises :class:`safetwilio.errors.ConfigurationError` (ST2xx
        to ST4xx), at the next call again unless it was mended, and
        :class:`safetwilio.errors.UsageError` (ST904) with ``SAFETWILIO_BOOT=off``.
        """
        return self._current().settings

    def refresh(self) -> bool:
        """Load the secrets anew, and return whether they are others now.

        The next request is verified with them. Raises what :meth:`load` raises; the old ones then
        stay in use.
        """
        with self._refreshing:  # or one that asked earlier could end later, with what was then
            before = self._current()
            settings = before.settings.reload()
            with self._lock:
                self._loaded = after = self._made(settings, before.verifier)
        return not after.secrets.is_same(before.secrets)

    def reset(self) -> None:
        """Forget what was loaded; for tests."""
        with self._lock:
            self._loaded = None

    def _current(self) -> _Loaded:
        loaded = self._loaded
        if loaded is not None:
            return loaded
        with self._lock:
            if self._loaded is None:
                require_switched_on("webhooks were to be verified")
                install_redaction()
                self._loaded = self._made(self._make())
                _say(self._loaded)
            return self._loaded

    def _made(self, settings: WebhookSettings, verifier: Verifier | None = None) -> _Loaded:
        if verifier is None:  # kept by a refresh: it knows when it warned last
            verifier = Verifier(
                lambda: self._current().secrets, shared_keys_only=settings.shared_keys_only
            )
        return _Loaded(settings, settings.secrets(), verifier)

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
        settings, _, verifier = self._current()
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


def _say(loaded: _Loaded) -> None:
    settings = loaded.settings
    for warning in settings.warnings:
        _log.warning("%s", render_one(warning))
    _log.info("Webhooks are verified with %r from %s", loaded.secrets, settings.source)


def reset_all() -> None:
    """Let every receiver forget what was loaded; for tests."""
    for receiver in list(_receivers):
        receiver.reset()


def loaded() -> list[WebhookSettings]:
    """Return the settings of all receivers of this process that have loaded theirs."""
    found = [receiver._loaded for receiver in list(_receivers)]  # noqa: SLF001
    return [each.settings for each in found if each is not None]


def _renew_locks() -> None:
    """Give the child of a fork locks of its own: a thread that is not here may hold one."""
    for receiver in _receivers:
        receiver._lock, receiver._refreshing = threading.RLock(), threading.Lock()  # noqa: SLF001


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_locks)
