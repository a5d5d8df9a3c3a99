"""Flask: an extension that boots with the application and verifies its webhooks.

::

    twilio = SafeTwilio()


    @app.post("/sms")
    @twilio.webhook
    def sms() -> str: ...


    twilio.init_app(app)

What can be set is in ``app.config["SAFETWILIO"]``, a dict without secrets.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from functools import partial, wraps
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NamedTuple, ParamSpec
from weakref import WeakSet

from flask import Flask, Response, current_app, jsonify, request
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.wsgi import LimitedStream

from safetwilio._boot import boot, health, is_switched_off
from safetwilio._proxy import get_client
from safetwilio.backends.interface import seal
from safetwilio.backends.locate import BACKEND_VARIABLE
from safetwilio.errors import (
    ConfigurationError,
    SignatureMismatch,
    UsageError,
    WebhookError,
    combined,
)
from safetwilio.integrations.receiver import Receiver, is_form
from safetwilio.problems import Problem
from safetwilio.shapes import is_auth_token, is_key_secret
from safetwilio.webhook_settings import WebhookSettings
from safetwilio.webhooks.refusals import tell

if TYPE_CHECKING:
    from collections.abc import Iterator

    from safetwilio.clients.rest import TwilioClient

__all__ = ["SafeTwilio", "health_view"]

CONFIG = "SAFETWILIO"
EXTENSION = "safetwilio"
MAX_BODY = 1024 * 1024  # bytes; Twilio's own webhooks have some thousand

_Known = Mapping[str, Any]

_SETTINGS: _Known = {  # by name, and what may be there
    "BACKEND": str,
    "CLIENT": bool,
    "REQUIRE": str,
    "VERIFY": bool,
    "WEBHOOKS": Mapping,
}
_OF_WEBHOOKS: _Known = {
    "ACCOUNT": str,
    "BACKEND": str,
    "PROXIES": (str, list, tuple),
    "PUBLIC_URL": str,
    "SHARED_KEYS_ONLY": bool,
}
_WORDS = {str: "a text", bool: "True or False", Mapping: "a dict", (str, list, tuple): "a list"}
_NAME = re.compile(r"[A-Za-z][A-Za-z_]{0,39}")
_SECRET = re.compile(r"TOKEN|SECRET|SID|PASSWORD|API_?KEY|SHARED_KEYS?$|CREDENTIAL", re.IGNORECASE)
_SIGNATURE = "HTTP_X_TWILIO_SIGNATURE"

_P = ParamSpec("_P")


class _Extension(NamedTuple):
    """What one application has of us."""

    receiver: Receiver
    is_off: bool


class SafeTwilio:
    """The extension: ``SafeTwilio(app)``, or :meth:`init_app` in an application factory.

    ``app.config["SAFETWILIO"]`` may have ``CLIENT`` (``False``: the application only receives
    webhooks), ``VERIFY`` and ``REQUIRE`` (those of :func:`safetwilio.boot`), ``BACKEND``, and
    ``WEBHOOKS``: a dict of ``PUBLIC_URL``, ``PROXIES``, ``SHARED_KEYS_ONLY``, ``ACCOUNT`` and
    ``BACKEND``, as :class:`safetwilio.WebhookSettings` takes them.
    """

    def __init__(self, app: Flask | None = None) -> None:
        """Serve *app*, if it is there already."""
        self._apps: WeakSet[Flask] = WeakSet()
        self._guarded: WeakSet[Callable[..., Any]] = WeakSet()
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Flask) -> None:
        """Boot, and load what the webhooks of *app* are signed with, if it has any.

        It has some if ``WEBHOOKS`` is set, or once a view is decorated with :meth:`webhook`. With
        ``SAFETWILIO_BOOT=off`` nothing is loaded.

        :raises ConfigurationError: ST1xx to ST5xx, with every problem of the key and of the
            webhooks; ST940 for the settings themselves. A server that imports the application
            stops with the report.
        :raises UsageError: ST900, when a webhook of *app* is open (see :meth:`webhook`).
        """
        self._refuse_open_views(app)
        settings, webhooks = _options(app.config.get(CONFIG, {}))
        receiver = Receiver(_webhook_settings(webhooks))
        extension = _Extension(receiver, is_switched_off())
        if "BACKEND" in settings:  # for the webhooks, too, if they have none of their own
            os.environ[BACKEND_VARIABLE] = settings["BACKEND"]
        if extension.is_off:
            boot()  # says so in the log
        else:
            demands = {"verify": settings.get("VERIFY", False), "require": settings.get("REQUIRE")}
            uses_webhooks = "WEBHOOKS" in settings or bool(self._guarded)
            _load(
                partial(boot, **demands) if settings.get("CLIENT", True) else None,
                receiver.load if uses_webhooks else None,
            )
        app.extensions[EXTENSION] = extension
        app.before_request(self._look_once(app))
        self._apps.add(app)

    @property
    def client(self) -> TwilioClient:
        """The Twilio client, the same as ``safetwilio.client``."""
        return get_client()

    @property
    def receiver(self) -> Receiver:
        """What verifies the webhooks of the current application; has ``refresh()``."""
        return _current().receiver

    def webhook(self, view: Callable[_P, Any]) -> Callable[_P, Any]:
        """Let only requests that Twilio signed through to *view*, ``def`` or ``async def``.

        It stands below ``@app.post(...)``. Others are answered with 403 and nothing else; why is in
        the log. A body of more than 1 MiB is refused.

        :raises ConfigurationError: ST2xx to ST4xx, when an application that is there already has
            nothing to verify with; for others :meth:`init_app` finds out.
        :raises UsageError: ST900, when it stands above the route, which leaves the view open.
        """
        self._guarded.add(view)
        for app in self._apps:
            self._refuse_open_views(app)
            extension: _Extension = app.extensions[EXTENSION]
            if not extension.is_off:
                extension.receiver.load()

        @wraps(view)
        def guarded(*args: _P.args, **kwargs: _P.kwargs) -> Any:
            refused = _refusal(_current().receiver)
            if refused is not None:
                return Response(status=refused.status)
            return current_app.ensure_sync(view)(*args, **kwargs)

        return guarded

    def _look_once(self, app: Flask) -> Callable[[], None]:
        """Return what looks, at the first request, also at the views of blueprints."""
        looked = False

        def look() -> None:
            nonlocal looked
            if not looked:
                self._refuse_open_views(app)
            looked = True

        return look

    def _refuse_open_views(self, app: Flask) -> None:
        """Raise :class:`UsageError` (ST900) for a webhook whose decorators are swapped.

        ``@twilio.webhook`` above ``@app.post(...)`` leaves it open to everybody.
        """
        for name, view in app.view_functions.items():
            if view in self._guarded:
                raise UsageError(
                    f"The view {name!r} is open to everybody: @twilio.webhook stands above the "
                    "route. Put it below, next to the function.",
                    code="ST900",
                )


def health_view() -> tuple[Response, int]:
    """Return :func:`safetwilio.health` as the answer of a readiness endpoint: 200, or 503.

    ``app.add_url_rule("/ready", view_func=health_view)``. It has fingerprints in it, and no secret.
    """
    state = health()
    answer = jsonify(state.as_dict())
    answer.headers["Cache-Control"] = "no-store"
    return answer, HTTPStatus.OK if state.ok else HTTPStatus.SERVICE_UNAVAILABLE


def _current() -> _Extension:
    extension = current_app.extensions.get(EXTENSION)
    if not isinstance(extension, _Extension):
        raise UsageError(
            "This application has no safetwilio: call SafeTwilio(app) or init_app(app) where it "
            "is made.",
            code="ST900",
        )
    return extension


def _refusal(receiver: Receiver) -> WebhookError | None:
    """Return why the current request is refused, or ``None``."""
    receiver.load()  # what it may raise goes with nothing of the request
    environ, refused = request.environ, None
    try:
        if not environ.get(_SIGNATURE):  # then there is nothing to read
            receiver.verify_wsgi(environ)
        parts = _parts()
        if isinstance(parts, WebhookError):
            tell(parts)
            return parts
        receiver.verify_wsgi(environ, **parts)
    except WebhookError as error:
        refused = error.with_traceback(None)
    return refused


def _parts() -> dict[str, Any] | WebhookError:
    """Return the parameters of a form, or the body of anything else; or what is wrong."""
    try:
        if (request.content_length or 0) > MAX_BODY:
            return _too_large()
        request.environ["wsgi.input"] = LimitedStream(
            request.environ["wsgi.input"], MAX_BODY + 1, is_max=True
        )
        body = request.get_data()  # what is read now can be parsed afterwards
        if len(body) > MAX_BODY:  # the stream only ends there
            return _too_large()
        if is_form(request.content_type):
            params = request.form
            # What the parser left out would go to the view without having been verified.
            return _unreadable() if body and not params else {"params": params}
        parsed_before = not body and (request.form or request.files)
    except RequestEntityTooLarge:
        return _too_large()
    except Exception:  # noqa: BLE001 - nobody's input makes a 500
        return _unreadable()
    return _unreadable() if parsed_before else {"body": body}


def _unreadable() -> WebhookError:
    return SignatureMismatch(
        "The body of the request cannot be read as what it says it is.", reason="unreadable"
    )


def _too_large() -> WebhookError:
    return SignatureMismatch(
        "The request has a larger body than is accepted here.", reason="too-large"
    )


def _webhook_settings(webhooks: Mapping[str, Any]) -> Callable[[], WebhookSettings]:
    return partial(
        WebhookSettings,
        public_url=webhooks.get("PUBLIC_URL"),
        proxies=webhooks.get("PROXIES") or (),
        shared_keys_only=webhooks.get("SHARED_KEYS_ONLY", False),
        _backend=webhooks.get("BACKEND"),
        _account=webhooks.get("ACCOUNT"),
    )


def _load(*loads: Callable[[], object] | None) -> None:
    """Call all of *loads*, and raise every problem at once."""
    errors = []
    for load in loads:
        try:
            if load is not None:
                load()
        except ConfigurationError as error:
            errors.append(error.with_traceback(None))
    if errors:
        raise errors[0] if len(errors) == 1 else combined(errors)


def _options(given: Any) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Return *given*, the settings of an application, and those of its webhooks, checked.

    None of their values is shown: it may be a secret that has no place there.
    """
    problems = [*_problems(given, _SETTINGS, CONFIG)]
    webhooks = given.get("WEBHOOKS") if isinstance(given, Mapping) else None
    if isinstance(webhooks, Mapping):
        problems += _problems(webhooks, _OF_WEBHOOKS, f'{CONFIG}["WEBHOOKS"]')
    if problems:
        del given, webhooks
        raise ConfigurationError(problems)
    return (
        {name: value for name, value in given.items() if value is not None},
        {name: value for name, value in (webhooks or {}).items() if value is not None},
    )


def _problems(given: Any, known: _Known, where: str) -> Iterator[Problem]:
    if not isinstance(given, Mapping):
        yield _problem(where, f"a {type(given).__name__}", "It is a dict.")
        return
    for name, value in given.items():
        kind = known.get(name) if isinstance(name, str) else None
        if kind is None:
            yield _unknown(name, value, known, where)
        elif value is not None and not isinstance(value, kind):
            what = f"a {type(value).__name__}"
            yield _problem(f'{where}["{name}"]', what, f'"{name}" is {_WORDS[kind]}.')
    if given.get("CLIENT") is False and (given.get("VERIFY") or given.get("REQUIRE")):
        what = "VERIFY or REQUIRE with CLIENT: False"  # a demand must not pass unheard
        yield _problem(where, what, "Without a client there is no key to verify. Take one away.")


def _unknown(name: Any, value: Any, known: _Known, where: str) -> Problem:
    text = name if isinstance(name, str) else ""
    if not _NAME.fullmatch(text) or is_auth_token(text) or is_key_secret(text):
        what = f"a key of {len(text)} characters" if text else f"a {type(name).__name__} as a key"
        return _problem(where, what, f"It takes {', '.join(known)}.")
    if not _SECRET.search(text):
        return _problem(where, f'the key "{text}"', f"It takes {', '.join(known)}.")
    if isinstance(value, str):
        seal(value, f"app.config, {where}", secret=True)  # hidden wherever it turns up
    return _problem(
        where,
        f'the key "{text}"',
        "Secrets have no place in app.config. What signs webhooks is TWILIO_WEBHOOK_AUTH_TOKEN or "
        "TWILIO_WEBHOOK_SHARED_KEYS, and the API key is TWILIO_ACCOUNT_SID, TWILIO_API_KEY and "
        "TWILIO_API_SECRET, in the environment, in a .env, or in the store that BACKEND names.",
    )


def _problem(where: str, what: str, fix: str) -> Problem:
    return Problem(
        code="ST940",
        summary="The SAFETWILIO setting is not right.",
        found_in=(f"app.config, {where} ({what})",),
        fix=fix,
    )
