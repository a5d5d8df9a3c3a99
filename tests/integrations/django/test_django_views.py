"""The decorator, the mixin and verify_webhook, in one process: what they are, and odd requests."""

from __future__ import annotations

import asyncio
import inspect
import json
import logging
import pickle
from typing import TYPE_CHECKING, Any

import pytest
from asgiref.sync import iscoroutinefunction
from django.core.exceptions import ImproperlyConfigured, SuspiciousOperation
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory, override_settings
from django.utils.decorators import method_decorator
from django.views import View

from integrations.django.django_requests import FACTORIES, ORIGIN, posted, sent
from integrations.raw_requests import FORM
from safetwilio.errors import ConfigurationError, UsageError, WebhookError
from safetwilio.integrations import django as ours
from safetwilio.integrations.django.webhooks import receiver
from safetwilio.testing.webhooks import sign_request
from support import assert_silent, auth_token, caught, leaks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Change = Callable[[Any], None]


@pytest.fixture
def token(project: Change, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Give a project with webhooks its Auth Token."""
    token = auth_token()
    monkeypatch.setenv("TWILIO_WEBHOOK_AUTH_TOKEN", token)
    project({"WEBHOOKS": {"PUBLIC_URL": ORIGIN}})
    yield token
    receiver.reset()


def answered(answer: Any) -> HttpResponse:
    """Return the response, awaited if it has to be."""

    async def wait() -> HttpResponse:
        result: HttpResponse = await answer
        return result

    return asyncio.run(wait()) if inspect.isawaitable(answer) else answer


def views() -> dict[str, Callable[..., Any]]:
    """Return one guarded view of every kind; each answers with the form's Body."""

    def body(request: HttpRequest) -> HttpResponse:
        return HttpResponse(request.POST.get("Body", ""))

    async def async_body(request: HttpRequest) -> HttpResponse:
        return body(request)

    class Answers(View):
        def post(self, request: HttpRequest) -> HttpResponse:
            return body(request)

    class AsyncAnswers(View):
        async def post(self, request: HttpRequest) -> HttpResponse:
            return body(request)

    class Mixed(ours.TwilioWebhookMixin, Answers):
        pass

    class AsyncMixed(ours.TwilioWebhookMixin, AsyncAnswers):
        pass

    decorate = method_decorator(ours.twilio_webhook, name="dispatch")
    return {
        "def": ours.twilio_webhook(body),
        "async def": ours.twilio_webhook(async_body),
        "mixin": Mixed.as_view(),
        "async mixin": AsyncMixed.as_view(),
        "decorated": decorate(type("Decorated", (Answers,), {})).as_view(),
        "async decorated": decorate(type("AsyncDecorated", (AsyncAnswers,), {})).as_view(),
    }


KINDS = ("def", "async def", "mixin", "async mixin", "decorated", "async decorated")
kinds = pytest.mark.parametrize("kind", KINDS)
protocols = pytest.mark.parametrize("protocol", ["wsgi", "asgi"])


@kinds
@protocols
def test_a_signed_request_reaches_the_view(kind: str, protocol: str, token: str) -> None:
    answer = answered(views()[kind](posted(token, protocol=protocol)))
    assert (answer.status_code, answer.content) == (200, b"Hello")


@kinds
@protocols
def test_another_gets_an_empty_403(kind: str, protocol: str, token: str) -> None:
    del token
    answer = answered(views()[kind](posted(auth_token(), protocol=protocol)))
    assert (answer.status_code, answer.content) == (403, b"")


@kinds
def test_no_view_wants_a_csrf_token_or_a_login(kind: str, token: str) -> None:
    del token
    view: Any = views()[kind]
    assert view.csrf_exempt
    assert not view.login_required
    assert iscoroutinefunction(view) == ("async" in kind)  # or Django would use a thread


def test_the_view_keeps_its_name(token: str) -> None:
    del token

    @ours.twilio_webhook
    def receive_sms(request: HttpRequest) -> HttpResponse:
        """Answer."""
        return HttpResponse(request.method)

    assert (receive_sms.__name__, receive_sms.__doc__) == ("receive_sms", "Answer.")


@pytest.mark.parametrize(
    "write",
    [
        lambda: ours.twilio_webhook(HttpResponse),
        lambda: type("Sms", (ours.TwilioWebhookMixin, View), {}),
        lambda: method_decorator(ours.twilio_webhook, name="dispatch")(type("Sms", (View,), {})),
        lambda: ours.verify_webhook(HttpRequest()),
    ],
    ids=["decorator", "mixin", "method_decorator", "verify_webhook"],
)
def test_without_webhooks_in_the_settings_no_view_can_be_written(
    write: Callable[[], object], project: Change
) -> None:
    project({"BACKEND": "env"})
    error = caught(write)
    assert isinstance(error, ImproperlyConfigured)
    assert "[ST941]" in str(error)


def test_the_mixin_in_the_wrong_place_is_refused(token: str) -> None:
    """There it would guard nothing, and nobody would notice."""
    del token
    error = caught(lambda: type("Sms", (View, ours.TwilioWebhookMixin), {}))
    assert isinstance(error, (UsageError, ImproperlyConfigured))
    assert "before View" in str(error)


def test_a_dispatch_of_the_class_itself_runs_only_for_twilio(token: str) -> None:
    ran = []

    class Sms(ours.TwilioWebhookMixin, View):
        def dispatch(self, request: HttpRequest) -> HttpResponse:
            ran.append(request.method)
            return HttpResponse()

    view = Sms.as_view()
    assert answered(view(posted(auth_token()))).status_code == 403
    assert ran == []
    assert answered(view(posted(token))).status_code == 200


@protocols
def test_verify_webhook_raises_what_django_knows_as_well(token: str, protocol: str) -> None:
    assert ours.verify_webhook(posted(token, protocol=protocol)) is True
    bad = posted(token, {"Body": "a private text"}, protocol=protocol)
    bad.META["HTTP_X_TWILIO_SIGNATURE"] = "c2lnbmF0dXJl"
    if protocol == "asgi":
        bad.scope["headers"] = [
            (n, b"c2ln" if b"sign" in n else v) for n, v in bad.scope["headers"]
        ]
    error = caught(lambda: ours.verify_webhook(bad))

    assert isinstance(error, ours.SuspiciousWebhook)
    assert isinstance(error, (WebhookError, SuspiciousOperation))
    assert (error.reason, error.code, error.status) == ("wrong-signature", "ST402", 403)
    again = pickle.loads(pickle.dumps(error))  # noqa: S301
    assert (type(again), again.reason, str(again)) == (type(error), error.reason, str(error))
    assert_silent(error, [token])


@protocols
@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "GET"])
def test_a_form_that_django_does_not_read_is_not_taken_for_no_form(
    method: str,
    protocol: str,
    token: str,
) -> None:
    """Django has parameters only in a POST: with a GET's signature any body would pass."""
    signed = sign_request(f"{ORIGIN}/sms", auth_token=token)
    request = sent(protocol, "Body=x", FORM, signed.headers, method)
    error = caught(lambda: ours.verify_webhook(request))
    assert isinstance(error, WebhookError)
    assert error.reason == "no-body-hash"


@protocols
@pytest.mark.parametrize(
    ("limits", "more"),
    [
        ({"DATA_UPLOAD_MAX_MEMORY_SIZE": 8}, {}),
        ({"DATA_UPLOAD_MAX_NUMBER_FIELDS": 1}, {}),
        ({}, {"kind": f"{FORM}; charset=hex"}),
        ({}, {"kind": f"{FORM}; charset=utf-16"}),
        ({}, {"kind": f"{FORM}; charset=idna"}),
    ],
    ids=["too large", "too many fields", "no text", "UTF-16", "IDNA"],
)
def test_what_django_cannot_read_is_refused_and_no_500(
    limits: dict[str, int],
    more: dict[str, str],
    protocol: str,
    token: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    request = posted(token, protocol=protocol, **more)
    with override_settings(**limits), caplog.at_level(logging.INFO, "safetwilio.webhooks"):
        answer = answered(views()["def"](request))
        assert len(request.POST) == 0 or limits == {}  # nor does looking at it again
    assert answer.status_code == 403
    assert "A webhook was refused" in caplog.text
    assert leaks(caplog.text, [token]) == []


@protocols
def test_a_body_that_was_read_before_is_refused(
    protocol: str, token: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A sender may bring a middleware to that with a multipart form."""
    multipart = "multipart/form-data; boundary=x"
    body = b'--x\r\nContent-Disposition: form-data; name="Body"\r\n\r\nx\r\n--x--\r\n'
    signed = sign_request(f"{ORIGIN}/sms", auth_token=token)
    request = sent(protocol, body, multipart, signed.headers)
    assert request.POST["Body"] == "x"
    assert answered(views()["def"](request)).status_code == 403
    assert "[ST402] A webhook was refused: unreadable" in caplog.text


@protocols
def test_a_form_that_was_read_before_is_no_trouble(protocol: str, token: str) -> None:
    request = posted(token, protocol=protocol)
    assert request.POST["Body"] == "Hello"
    assert answered(views()["def"](request)).content == b"Hello"


ALMOST_FORMS = (
    *(f" {FORM}", f"{FORM} ", f"{FORM};", FORM.upper(), f"{FORM}\xa0", f"{FORM},", f'"{FORM}"'),
    *(f"{FORM}\x1f", f"{FORM}\x85", f"x; {FORM}", f"{FORM}/x", ""),
)


@pytest.mark.parametrize(
    ("kind", "protocol"),
    [
        (kind, protocol)
        for kind in ALMOST_FORMS
        for protocol in FACTORIES
        if kind.isascii() or protocol == "wsgi"  # the other factory takes nothing else
    ],
)
def test_no_content_type_lets_a_body_pass_that_nobody_signed(
    kind: str, protocol: str, token: str
) -> None:
    """With the signature of an empty request the view must see nothing, or not be called."""
    signed = sign_request(f"{ORIGIN}/sms", auth_token=token)
    request = sent(protocol, "Body=x", kind, signed.headers)
    error = caught(lambda: ours.verify_webhook(request))
    assert isinstance(error, WebhookError)
    assert error.reason in {"no-body-hash", "wrong-signature", "unreadable"}


def test_json_is_verified_by_its_hash(token: str) -> None:
    body = json.dumps({"event": "delivered"}).encode()
    signed = sign_request(f"{ORIGIN}/events", body=body, auth_token=token)
    path = signed.url.removeprefix(ORIGIN)
    for carried, status in ((body, 200), (body.replace(b"delivered", b"read"), 403)):
        request = RequestFactory().post(path, carried, "application/json", headers=signed.headers)
        assert answered(views()["def"](request)).status_code == status


def test_other_settings_in_a_test_count_at_once(
    token: str, project: Change, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ours.verify_webhook(posted(token))
    other = auth_token()
    monkeypatch.setenv("TWILIO_WEBHOOK_AUTH_TOKEN", other)
    project({"WEBHOOKS": {"PUBLIC_URL": ORIGIN}})
    assert ours.verify_webhook(posted(other))


def test_a_missing_secret_is_no_refusal(project: Change) -> None:
    """With ``"BOOT": False`` the first request loads; nothing to verify with is our fault."""
    project({"BOOT": False, "WEBHOOKS": {}})
    error = caught(lambda: views()["def"](posted(auth_token())))
    assert isinstance(error, ConfigurationError)
    assert error.code == "ST410"
