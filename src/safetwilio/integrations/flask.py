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

from functools import partial, wraps
from typing import TYPE_CHECKING, Any, NamedTuple, ParamSpec
from weakref import WeakSet

from flask import Flask, Response, current_app, jsonify, request
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.wsgi import LimitedStream

from safetwilio._boot import boot, is_switched_off
from safetwilio._proxy import get_client
from safetwilio.errors import UsageError, WebhookError
from safetwilio.integrations.options import SETTING, read
from safetwilio.integrations.receiver import MAX_BODY, MAX_FIELDS, Receiver, is_form
from safetwilio.integrations.starting import (
    NOT_KEPT,
    NOT_READY,
    READY,
    load,
    name_backends,
    readiness,
)
from safetwilio.webhooks.refusals import refusal, tell

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from safetwilio.clients.rest import TwilioClient

__all__ = ["SafeTwilio", "health_view"]

EXTENSION = "safetwilio"

_GUARDED = "_safetwilio_guarded"
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
        options = read(app.config.get(SETTING, {}), f'app.config["{SETTING}"]')
        name_backends(options)
        receiver = Receiver(options.load_webhooks)
        extension = _Extension(receiver, is_switched_off())
        require: Any = options.require
        uses_webhooks = options.webhooks is not None or bool(self._guarded)
        load(
            partial(boot, verify=options.verify, require=require) if options.client else None,
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
        self._guarded.update(_with_wrapped(view))
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

        setattr(guarded, _GUARDED, True)
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
    ok, state = readiness()
    answer = jsonify(state)
    answer.headers.update(NOT_KEPT)
    return answer, READY if ok else NOT_READY


def _with_wrapped(view: Any) -> Iterator[Any]:
    """Yield *view* and what is below its other decorators: none of that is guarded by itself."""
    while view is not None and not hasattr(view, _GUARDED):
        yield view
        view = getattr(view, "__wrapped__", None)


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


def _form_of(body: bytes) -> dict[str, Any] | WebhookError:
    if body.count(b"&") >= MAX_FIELDS:
        return refusal("too-large")
    params = request.form
    # What the parser left out would go to the view without having been verified.
    return refusal("unreadable") if body and not params else {"params": params}


def _parts() -> dict[str, Any] | WebhookError:
    """Return the parameters of a form, or the body of anything else; or what is wrong."""
    try:
        if (request.content_length or 0) > MAX_BODY:
            return refusal("too-large")
        request.environ["wsgi.input"] = LimitedStream(
            request.environ["wsgi.input"], MAX_BODY + 1, is_max=True
        )
        body = request.get_data()  # what is read now can be parsed afterwards
        if len(body) > MAX_BODY:  # the stream only ends there
            return refusal("too-large")
        if is_form(request.content_type):
            return _form_of(body)
        parsed_before = not body and (request.form or request.files)
    except RequestEntityTooLarge:
        return refusal("too-large")
    except Exception:  # noqa: BLE001 - nobody's input makes a 500
        return refusal("unreadable")
    return refusal("unreadable") if parsed_before else {"body": body}
