"""Views that serve Twilio and nobody else."""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from asgiref.sync import iscoroutinefunction
from django.core.signals import setting_changed
from django.http import HttpRequest, HttpResponseForbidden
from django.views import View

from safetwilio.errors import WebhookError
from safetwilio.integrations.django.errors import Misused, SuspiciousWebhook
from safetwilio.integrations.django.options import read, require_webhooks
from safetwilio.integrations.options import SETTING
from safetwilio.integrations.receiver import Receiver
from safetwilio.webhooks.headers import FORM
from safetwilio.webhooks.refusals import refusal, tell

if TYPE_CHECKING:
    from collections.abc import Callable

    from safetwilio.webhook_settings import WebhookSettings

_View = TypeVar("_View", bound="Callable[..., Any]")


def _settings() -> WebhookSettings:
    return require_webhooks().load(read().backend)


receiver = Receiver(_settings)


def verify_webhook(request: HttpRequest) -> Literal[True]:
    """Return ``True`` if Twilio sent *request*, else raise.

    For code that wants to answer itself; the reason is in the log ``safetwilio.webhooks``.

    :raises SuspiciousWebhook: ST401 to ST406: the request is refused.
    :raises NoWebhooks: ST941, if ``settings.SAFETWILIO`` has no ``WEBHOOKS``.
    :raises ConfigurationError: ST2xx to ST4xx, if what webhooks are signed with was not loaded at
        the start (``"BOOT": False``) and cannot be now.
    """
    require_webhooks()
    refused = _refusal(request)
    if refused is not None:
        raise SuspiciousWebhook(str(refused.args[0]), reason=refused.reason, code=refused.code)
    return True


def twilio_webhook(view: _View) -> _View:
    """Let *view* (``def`` or ``async def``) see only requests of Twilio's; others get an empty 403.

    It needs neither a CSRF token nor a login. Above a class: ``@method_decorator(twilio_webhook,
    name="dispatch")``, or :class:`TwilioWebhookMixin`.

    :raises NoWebhooks: ST941, where it is written, if ``settings.SAFETWILIO`` has no ``WEBHOOKS``.
    """
    require_webhooks()
    guarded: _View = _guarded_async(view) if iscoroutinefunction(view) else _guarded(view)
    guarded.csrf_exempt = True  # type: ignore[attr-defined]
    guarded.login_required = False  # type: ignore[attr-defined] # LoginRequiredMiddleware, 5.1 on
    return guarded


class TwilioWebhookMixin:
    """Does for a class-based view what :func:`twilio_webhook` does for a function.

    It comes before ``View``: ``class Sms(TwilioWebhookMixin, View)``.

    :raises NoWebhooks: ST941, when a class is made of it, if ``settings.SAFETWILIO`` has no
        ``WEBHOOKS``.
    :raises Misused: ST900, if it comes after ``View``, where it would guard nothing.
    """

    def __init_subclass__(cls, **options: Any) -> None:
        """Check that the class is guarded."""
        super().__init_subclass__(**options)
        require_webhooks()
        order = cls.__mro__
        if View in order and order.index(View) < order.index(TwilioWebhookMixin):
            raise Misused(
                f"{cls.__name__}: TwilioWebhookMixin comes before View among the bases; after it, "
                "it would guard nothing.",
                code="ST900",
            )

    @classmethod
    def as_view(cls, **initkwargs: Any) -> Callable[..., Any]:
        """Return the view, guarded."""
        view: Callable[..., Any] = super().as_view(**initkwargs)  # type: ignore[misc]
        return twilio_webhook(view)


def _guarded(view: Any) -> Any:
    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        if _is_async(view):
            return asynchronous(request, *args, **kwargs)
        if _refusal(request) is None:
            return view(request, *args, **kwargs)
        return HttpResponseForbidden()

    asynchronous = _guarded_async(view)
    return guarded


def _guarded_async(view: Any) -> Any:
    @wraps(view)
    async def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        await receiver.catch_up()
        if _refusal(request) is None:
            return await view(request, *args, **kwargs)
        return HttpResponseForbidden()

    return guarded


def _is_async(dispatch: Any) -> bool:
    """Return whether *dispatch* belongs to a class with ``async def`` methods, and is awaited.

    ``method_decorator`` gives a partial of the method, which is itself no coroutine function.
    """
    owner = getattr(getattr(dispatch, "func", dispatch), "__self__", None)
    return bool(getattr(owner, "view_is_async", False))


def _refusal(request: HttpRequest) -> WebhookError | None:
    """Return why *request* is refused, or ``None`` if Twilio sent it."""
    try:
        verify(request)
    except WebhookError as error:
        return error.with_traceback(None)
    return None


def verify(request: HttpRequest) -> Literal[True]:
    """Return ``True`` if Twilio sent *request*, else raise a :class:`WebhookError`.

    What counts as a form is what Django takes for one: the view must not see parameters that were
    verified as a body, nor the reverse. Only a POST has any.
    """
    is_params = request.method == "POST" and request.content_type == FORM
    sent = _read(request, is_params=is_params)
    if isinstance(sent, WebhookError):
        tell(sent)
        raise sent
    given: dict[str, Any] = {"params" if is_params else "body": sent}
    scope = getattr(request, "scope", None)
    if scope is not None:
        return receiver.verify_asgi(scope, **given)
    return receiver.verify_wsgi(request.META, **given)


def _read(request: Any, *, is_params: bool) -> Any:
    """Return the parameters or the body of *request*, or why it is refused.

    What a sender makes too large, too long or undecodable raises several things in Django, some of
    which would be a 500.
    """
    try:
        return request.POST if is_params else request.body
    except Exception:  # noqa: BLE001 - nobody's input makes a 500
        request._mark_post_parse_error()  # noqa: SLF001 - or the next look at POST raises it again
    return refusal("unreadable")


def _forget(*, setting: str, **_: object) -> None:
    if setting == SETTING:  # override_settings in a test
        receiver.reset()


setting_changed.connect(_forget, dispatch_uid="safetwilio")
