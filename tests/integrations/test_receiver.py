"""The receiver: what a framework does with webhooks, without a framework."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from safetwilio import refreshed
from safetwilio.errors import (
    BackendError,
    ConfigurationError,
    SignatureMismatch,
    SignerNotAllowed,
    UnsignedRequest,
    UsageError,
    WebhookError,
)
from safetwilio.integrations import receiver as module
from safetwilio.integrations.receiver import Receiver, is_form
from safetwilio.redaction import health as redaction_health
from safetwilio.testing.webhooks import sign_request
from safetwilio.webhook_settings import WebhookSettings
from support import Opaque, assert_silent, auth_token, caught, codes, leaks, refused, write

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

PUBLIC = "https://example.com"
URL = f"{PUBLIC}/sms?room=1%2B2&who=a-person-in-the-query"
FORM = {"Body": "Your code is 123 456", "From": "+15005550006"}
LOG = "safetwilio.webhooks"


@pytest.fixture
def token(monkeypatch: pytest.MonkeyPatch) -> str:
    """Put a token and the public URL into the environment."""
    value = auth_token()
    monkeypatch.setenv("TWILIO_WEBHOOK_AUTH_TOKEN", value)
    monkeypatch.setenv("TWILIO_WEBHOOK_PUBLIC_URL", PUBLIC)
    return value


@pytest.fixture
def receiver() -> Receiver:
    return Receiver()


def environ(signed: Mapping[str, str], target: str = "/sms?room=1%2B2&who=a-person-in-the-query",
            **more: str) -> dict[str, Any]:  # fmt: skip
    """Return what gunicorn makes of a request."""
    names = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in signed.items()}
    return {
        "wsgi.url_scheme": "http",
        "RAW_URI": target,
        "PATH_INFO": target.partition("?")[0],
        "QUERY_STRING": target.partition("?")[2],
        "HTTP_HOST": "10.0.0.7",
        "REMOTE_ADDR": "10.0.0.1",
        **names,
        **more,
    }


def scope(signed: Mapping[str, str], path: str = "/sms") -> dict[str, Any]:
    """Return what uvicorn makes of it."""
    headers = [(name.lower().encode(), value.encode()) for name, value in signed.items()]
    return {
        "type": "http",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": URL.partition("?")[2].encode(),
        "headers": [(b"host", b"10.0.0.7"), *headers],
        "client": ("10.0.0.1", 1),
    }


def signed(token: str, **what: Any) -> dict[str, str]:
    return sign_request(URL, auth_token=token, **what).headers


def refusal(call: Callable[[], object]) -> WebhookError:
    error = caught(call)
    assert isinstance(error, WebhookError), error
    return error


def test_both_kinds_of_server(token: str, receiver: Receiver) -> None:
    headers = signed(token, params=FORM)
    assert receiver.verify_wsgi(environ(headers), params=FORM) is True
    assert receiver.verify_asgi(scope(headers), params=FORM) is True
    bare = signed(token)
    assert receiver.verify_wsgi(environ(bare)) is True
    assert receiver.verify_wsgi(environ(bare), body=b"") is True
    assert receiver.verify_asgi(scope(bare), params={}) is True
    body = sign_request(URL, body=b"{}", auth_token=token)
    target = body.url.removeprefix(PUBLIC)
    assert receiver.verify_wsgi(environ(body.headers, target), body=b"{}") is True


def test_it_loads_at_the_first_request_at_the_latest_and_once(token: str) -> None:
    made = []
    start = threading.Barrier(8)

    def make() -> WebhookSettings:
        made.append(threading.get_ident())
        return WebhookSettings()

    receiver = Receiver(make)
    assert made == []

    def verify(_: int) -> bool:
        start.wait(20)
        return receiver.verify_wsgi(environ(signed(token)))

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(verify, range(8)))
    assert len(made) == 1
    assert receiver.load() is receiver.load()
    assert len(made) == 1


def test_loading_installs_redaction(
    token: str, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.load()
    assert [sink for sink in redaction_health() if sink.state == "active"], redaction_health()
    logging.getLogger("an.application").warning("the token is %s", token)
    assert "the token is" in caplog.text
    assert leaks(caplog.text, [token]) == []


def test_without_a_secret_nothing_is_verified_until_there_is_one(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert codes(refused(receiver.load)) == ["ST410"]
    assert codes(refused(lambda: receiver.verify_wsgi(environ({})))) == ["ST410"]
    assert codes(refused(receiver.refresh)) == ["ST410"]
    token = auth_token()
    monkeypatch.setenv("TWILIO_WEBHOOK_AUTH_TOKEN", token)
    monkeypatch.setenv("TWILIO_WEBHOOK_PUBLIC_URL", PUBLIC)
    assert receiver.verify_wsgi(environ(signed(token))) is True


def test_in_an_image_build_nothing_is_loaded_and_nothing_accepted(
    token: str, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SAFETWILIO_BOOT", "off")
    for call in (receiver.load, receiver.refresh, lambda: receiver.verify_wsgi({})):
        error = caught(call)
        assert isinstance(error, UsageError)
        assert error.code == "ST904"
    monkeypatch.delenv("SAFETWILIO_BOOT")
    assert receiver.verify_wsgi(environ(signed(token))) is True


def test_each_refusal_is_one_line_that_shows_nothing(
    token: str, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.load()
    caplog.set_level(logging.INFO)
    person = "a-person-in-the-query"
    key = {"X-Twilio-Webhooks-Signature-Settings": "key=webhooks_sharedkey_9,algorithm=HMAC_SHA1"}
    good, bare, form = (Opaque(each) for each in (signed(token, params=FORM), signed(token), FORM))
    wsgi, asgi = receiver.verify_wsgi, receiver.verify_asgi
    cases: list[tuple[Callable[[], object], type[WebhookError], str, str]] = [
        (lambda: wsgi(environ({}), params=form.value), UnsignedRequest, "ST401", "unsigned"),
        (lambda: wsgi(environ(good.value)), SignatureMismatch, "ST402", "wrong-signature"),
        (lambda: asgi(scope(good.value, "/other"), params=form.value), SignatureMismatch,
         "ST402", "wrong-signature"),
        (lambda: wsgi(environ(bare.value), body=form.value["Body"].encode()), SignatureMismatch,
         "ST402", "no-body-hash"),
        (lambda: wsgi(environ(good.value | key), params=form.value), SignerNotAllowed,
         "ST403", "unknown-key"),
        (lambda: wsgi(environ(good.value, "sms?to=1"), params=form.value), WebhookError,
         "ST406", "url"),
        (lambda: asgi(scope(good.value, "caf\xe9"), params=form.value), WebhookError,
         "ST406", "url"),
    ]  # fmt: skip
    for call, kind, code, reason in cases:
        caplog.clear()
        error = refusal(call)
        assert type(error) is kind
        assert (error.code, error.reason, error.status) == (code, reason, 403)
        [record] = caplog.records
        assert record.name == LOG
        assert record.getMessage() == f"[{code}] A webhook was refused: {reason}"
        assert record.levelno == (logging.INFO if reason == "unsigned" else logging.WARNING)
        signature = good.value["X-Twilio-Signature"]
        assert_silent(error, [token, signature, FORM["Body"], person])


def test_nothing_that_a_request_lacks_is_more_than_a_refusal(
    token: str, receiver: Receiver
) -> None:
    del token
    for odd in ({}, {"wsgi.url_scheme": None}, {"RAW_URI": 1}, environ({}, "/\xff")):
        assert refusal(lambda odd=odd: receiver.verify_wsgi(odd, params=FORM)).status == 403
    for odd in ({"headers": []}, {"headers": [(b"host", b"\xff")], "type": "http", "path": "/"}):
        assert refusal(lambda odd=odd: receiver.verify_asgi(odd, body=b"x")).status == 403


def test_both_a_form_and_a_body_are_a_mistake_of_ours(token: str, receiver: Receiver) -> None:
    headers = signed(token)
    error = caught(lambda: receiver.verify_wsgi(environ(headers), params=FORM, body=b"x"))
    assert isinstance(error, UsageError)
    assert error.code == "ST910"
    assert leaks(str(error), [token]) == []


def test_refresh_brings_another_token_and_says_so(
    token: str, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    headers = signed(token)
    assert receiver.refresh() is False
    following = auth_token()
    monkeypatch.setenv("TWILIO_WEBHOOK_AUTH_TOKEN", following)
    assert receiver.verify_wsgi(environ(headers)) is True, "nobody refreshed yet"
    assert receiver.refresh() is True
    assert receiver.verify_wsgi(environ(signed(following))) is True
    assert receiver.verify_wsgi(environ(headers)) is True, "it was on its way"
    assert receiver.refresh() is False
    assert receiver.verify_wsgi(environ(headers)) is True
    receiver.refresh(drop_previous=True)
    assert refusal(lambda: receiver.verify_wsgi(environ(headers))).reason == "wrong-signature"
    assert receiver.verify_wsgi(environ(signed(following))) is True


def test_the_token_before_counts_no_longer_than_its_grace(
    token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    monkeypatch.setattr(module.time, "time", lambda: now[0])
    receiver = Receiver(grace=60)
    receiver.load()
    second, third = auth_token(), auth_token()
    for following in (second, third):  # each has a grace of its own
        monkeypatch.setenv("TWILIO_WEBHOOK_AUTH_TOKEN", following)
        receiver.refresh()
        now[0] += 30
    assert receiver.verify_wsgi(environ(signed(second))) is True
    assert refusal(lambda: receiver.verify_wsgi(environ(signed(token)))).status == 403
    now[0] -= 1
    assert receiver.verify_wsgi(environ(signed(token))) is True
    now[0] += 1
    assert receiver.verify_wsgi(environ(signed(second))) is True
    assert refusal(lambda: receiver.verify_wsgi(environ(signed(token)))).status == 403
    now[0] += 30
    assert refusal(lambda: receiver.verify_wsgi(environ(signed(second)))).status == 403
    assert receiver.verify_wsgi(environ(signed(third))) is True


def test_a_new_shared_key_ends_no_grace(token: str, monkeypatch: pytest.MonkeyPatch) -> None:
    receiver = Receiver()
    receiver.load()
    monkeypatch.setenv("TWILIO_WEBHOOK_AUTH_TOKEN", auth_token())
    receiver.refresh()
    monkeypatch.setenv("TWILIO_WEBHOOK_SHARED_KEYS", f"webhooks_sharedkey_1={auth_token()}z")
    receiver.refresh()
    assert receiver.verify_wsgi(environ(signed(token))) is True


def test_an_old_token_is_looked_for_while_requests_go_on(
    token: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("TWILIO_WEBHOOK_AUTH_TOKEN")
    monkeypatch.setenv("SAFETWILIO_REFRESH_AGE", "300")
    file = write(tmp_path / "t.env", f"TWILIO_WEBHOOK_AUTH_TOKEN={token}\n")
    monkeypatch.setenv("SAFETWILIO_BACKEND", f"dotenv:{file}")
    receiver = Receiver()
    receiver.load()
    following = auth_token()
    write(file, f"TWILIO_WEBHOOK_AUTH_TOKEN={following}\n")
    with monkeypatch.context() as later:
        later.setattr(refreshed, "_wall", lambda: time.time() + 300)
        assert receiver.verify_wsgi(environ(signed(token))) is True
        for thread in threading.enumerate():
            if thread.name == "safetwilio-refresh":
                thread.join(30)
    assert receiver.verify_wsgi(environ(signed(following))) is True
    assert receiver.verify_wsgi(environ(signed(token))) is True


class Clock:
    """The wall's clock, and the file that a receiver's secrets are in."""

    def __init__(self, file: Path, patch: pytest.MonkeyPatch, token: str) -> None:
        """Begin now, with *token* there."""
        self.ahead, self._file = 0.0, file
        patch.delenv("TWILIO_WEBHOOK_AUTH_TOKEN")
        patch.setenv("SAFETWILIO_REFRESH_AGE", "300")
        patch.setenv("SAFETWILIO_BACKEND", f"dotenv:{file}")
        patch.setattr(refreshed, "_wall", lambda: time.time() + self.ahead)
        self.put(token)

    def put(self, token: str) -> None:
        """Let *token* be there."""
        write(self._file, f"TWILIO_WEBHOOK_AUTH_TOKEN={token}\n")


@pytest.fixture
def clock(token: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Clock:
    return Clock(tmp_path / "t.env", monkeypatch, token)


def by_wsgi(receiver: Receiver, headers: dict[str, str]) -> bool:
    return receiver.verify_wsgi(environ(headers))


def by_asgi(receiver: Receiver, headers: dict[str, str]) -> bool:
    async def serve() -> bool:
        await receiver.catch_up()
        return receiver.verify_asgi(scope(headers))

    return asyncio.run(serve())


@pytest.mark.parametrize("verify", [by_wsgi, by_asgi])
def test_the_first_webhook_after_a_quiet_time_may_have_a_new_signature(
    token: str, clock: Clock, verify: Callable[[Receiver, dict[str, str]], bool]
) -> None:
    receiver = Receiver()
    receiver.load()
    following = auth_token()
    clock.put(following)
    clock.ahead = 600
    assert verify(receiver, signed(following)) is True
    # and nobody knows when the other one was replaced
    assert refusal(lambda: verify(receiver, signed(token))).reason == "wrong-signature"


def test_an_event_loop_does_not_wait_for_who_does_not_await(token: str, clock: Clock) -> None:
    receiver = Receiver()
    receiver.load()
    let_on, begun = threading.Event(), threading.Event()
    versions = receiver._current().versions
    original = versions._reload

    def slow() -> Any:
        begun.set()
        assert let_on.wait(30)
        return original() if original else None

    versions._reload = slow
    clock.ahead = 600

    async def serve() -> bool:
        return receiver.verify_asgi(scope(signed(token)))

    assert asyncio.run(serve()) is True  # though the look is under way
    assert begun.wait(30)
    let_on.set()


def test_a_place_that_hangs_holds_a_webhook_for_the_time_of_waiting(
    token: str, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SAFETWILIO_REFRESH_WAIT", "0.01")
    receiver = Receiver()
    receiver.load()
    let_on = threading.Event()
    versions = receiver._current().versions
    versions._reload = lambda: let_on.wait(30) and versions.current()  # type: ignore[return-value]
    clock.ahead = 600
    assert by_wsgi(receiver, signed(token)) is True
    assert by_asgi(receiver, signed(token)) is True
    let_on.set()


def test_a_token_that_leaked_has_no_grace_though_its_place_was_down(
    token: str, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    receiver.load()
    monkeypatch.setenv("SAFETWILIO_BACKEND", "nonsense:")
    refused(lambda: receiver.refresh(drop_previous=True))
    assert receiver.verify_wsgi(environ(signed(token))) is True, "there is no other one yet"
    monkeypatch.delenv("SAFETWILIO_BACKEND")
    monkeypatch.setenv("TWILIO_WEBHOOK_AUTH_TOKEN", auth_token())
    assert receiver.refresh() is True
    assert refusal(lambda: receiver.verify_wsgi(environ(signed(token)))).status == 403


def test_a_token_that_leaked_has_no_grace_though_it_is_replaced_later(
    token: str, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    receiver.load()
    assert receiver.refresh(drop_previous=True) is False, "the new one is not there yet"
    assert receiver.refresh() is False
    second, third = auth_token(), auth_token()
    monkeypatch.setenv("TWILIO_WEBHOOK_AUTH_TOKEN", second)
    assert receiver.refresh() is True
    assert refusal(lambda: receiver.verify_wsgi(environ(signed(token)))).status == 403
    monkeypatch.setenv("TWILIO_WEBHOOK_AUTH_TOKEN", third)
    assert receiver.refresh() is True
    assert receiver.verify_wsgi(environ(signed(second))) is True, "that one has not leaked"


def test_a_refresh_that_fails_keeps_what_is_there(
    token: str, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    receiver.load()
    monkeypatch.delenv("TWILIO_WEBHOOK_AUTH_TOKEN")
    assert codes(refused(receiver.refresh)) == ["ST410"]
    monkeypatch.setenv("TWILIO_WEBHOOK_AUTH_TOKEN", "")
    assert codes(refused(receiver.refresh)) == ["ST411"]
    monkeypatch.setenv("SAFETWILIO_BACKEND", "nonsense:")
    assert isinstance(refused(receiver.refresh), BackendError)
    assert receiver.verify_wsgi(environ(signed(token))) is True


def test_during_a_rotation_both_tokens_count_and_the_old_one_warns_once(
    token: str,
    receiver: Receiver,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    old = auth_token()
    monkeypatch.setenv("TWILIO_WEBHOOK_SECONDARY_AUTH_TOKEN", old)
    for _ in range(3):
        assert receiver.verify_wsgi(environ(signed(token))) is True
        assert receiver.verify_wsgi(environ(signed(old))) is True
    receiver.refresh()  # the verifier stays, and remembers that it has warned
    assert receiver.verify_wsgi(environ(signed(old))) is True
    assert [r.getMessage()[:7] for r in caplog.records if r.levelno == logging.WARNING] == [
        "[ST407]"
    ]


def test_only_named_proxies_are_believed(token: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TWILIO_WEBHOOK_PUBLIC_URL")
    forwarded = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "example.com"}
    request = environ(signed(token) | forwarded)
    near, far = ["10.0.0.0/8"], ["192.0.2.0/24"]
    assert Receiver(lambda: WebhookSettings(proxies=near)).verify_wsgi(request) is True
    for receiver in (Receiver(lambda: WebhookSettings(proxies=far)), Receiver()):
        reason = refusal(lambda receiver=receiver: receiver.verify_wsgi(request)).reason
        assert reason == "wrong-signature"


def test_with_shared_keys_only_a_token_signs_nothing(
    token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = ("webhooks_sharedkey_1", auth_token() + "z")
    monkeypatch.setenv("TWILIO_WEBHOOK_SHARED_KEYS", "=".join(key))
    receiver = Receiver(lambda: WebhookSettings(shared_keys_only=True))
    error = refusal(lambda: receiver.verify_wsgi(environ(signed(token))))
    assert (error.code, error.reason) == ("ST405", "auth-token")
    proof = sign_request(URL, shared_key=key).headers
    assert receiver.verify_wsgi(environ(proof)) is True


def test_what_is_said_at_the_start(
    token: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delenv("TWILIO_WEBHOOK_AUTH_TOKEN")
    file = write(tmp_path / ".env", f"TWILIO_WEBHOOK_AUTH_TOKEN={token}\n", 0o644)
    caplog.set_level(logging.INFO)
    receiver = Receiver(lambda: WebhookSettings(_backend=f"dotenv:{file}"))
    receiver.load()
    receiver.load()
    said = [record.getMessage() for record in caplog.records if record.name == LOG]
    assert f"1 Auth Tokens, 0 SharedKeys> from dotenv:{file}" in said[-1]
    assert "ST306" in said[0] or os.name == "nt", said
    assert leaks("\n".join(said), [token]) == []


def test_forgetting(token: str, monkeypatch: pytest.MonkeyPatch) -> None:
    receivers = [Receiver(), Receiver()]
    for receiver in receivers:
        receiver.load()
    monkeypatch.delenv("TWILIO_WEBHOOK_AUTH_TOKEN")
    receivers[0].load()
    receivers[0].reset()
    refused(receivers[0].load)
    receivers[1].load()
    module.reset_all()
    assert isinstance(refused(receivers[1].load), ConfigurationError)
    del token


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_child_has_a_lock_of_its_own(token: str, receiver: Receiver) -> None:
    """A thread of the parent was loading as it forked; that thread is not in the child."""
    loading, go_on = threading.Event(), threading.Event()

    def make() -> WebhookSettings:
        loading.set()
        go_on.wait(30)
        return WebhookSettings()

    receiver = Receiver(make)
    thread = threading.Thread(target=receiver.load)
    thread.start()
    loading.wait(30)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:  # pragma: no cover - another process
        go_on.set()
        accepted = receiver.verify_wsgi(environ(signed(token)))
        os.write(writing, json.dumps(accepted).encode())
        os._exit(0)
    try:
        os.close(writing)
        with os.fdopen(reading) as answer:
            assert json.load(answer) is True
    finally:
        go_on.set()
        thread.join(30)
        os.waitpid(child, 0)


@pytest.mark.parametrize(
    ("content_type", "is_one"),
    [
        ("application/x-www-form-urlencoded", True),
        ("Application/X-WWW-Form-Urlencoded ; charset=UTF-8", True),
        ("application/x-www-form-urlencoded;", True),
        ("application/x-www-form-urlencoded2", False),
        ("application/json", False),
        ("multipart/form-data; boundary=x", False),
        ("text/plain; application/x-www-form-urlencoded", False),
        ("application/json, application/x-www-form-urlencoded", False),
        ("", False),
        (None, False),
    ],
)
def test_what_is_a_form(content_type: str | None, is_one: bool) -> None:  # noqa: FBT001
    assert is_form(content_type) is is_one


def test_a_refresh_that_began_earlier_does_not_end_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else it would bring back the secret that another has just replaced."""
    monkeypatch.setenv("TWILIO_WEBHOOK_AUTH_TOKEN", auth_token())
    receiver = Receiver()
    receiver.load()
    entered, go_on, reload = threading.Event(), threading.Event(), WebhookSettings.reload

    def slowly(settings: WebhookSettings) -> WebhookSettings:
        found = reload(settings)
        if not entered.is_set():
            entered.set()
            assert go_on.wait(30)
        return found

    monkeypatch.setattr(WebhookSettings, "reload", slowly)
    first = threading.Thread(target=receiver.refresh)
    first.start()
    assert entered.wait(30)
    newer = auth_token()
    monkeypatch.setenv("TWILIO_WEBHOOK_AUTH_TOKEN", newer)
    second = threading.Thread(target=receiver.refresh)
    second.start()
    second.join(0.2)
    assert second.is_alive(), "it waits for the first"
    go_on.set()
    first.join(30)
    second.join(30)
    token = receiver.load().auth_token
    assert token is not None
    assert token.get_secret_value() == newer
