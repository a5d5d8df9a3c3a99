"""Verifying webhooks: what is accepted, what is refused and how, and that nothing shows."""

from __future__ import annotations

import copy
import json
import logging
import pickle
from itertools import permutations
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr
from requests_signed import FORM, KEY_ID, URL, Secrets, new_secrets, one, signed_headers
from twilio import request_validator
from twilio.request_validator import RequestValidator

from clients.leaks import Spotter
from safetwilio.errors import (
    ConfigurationError,
    RefusedBeforeSending,
    SignatureMismatch,
    UnsignedRequest,
    UsageError,
    WebhookError,
)
from safetwilio.testing.webhooks import sign_request
from safetwilio.webhooks import SigningSecrets, Verifier, canonical, delivery_id
from support import Opaque, account_sid, assert_silent, auth_token, caught, codes, leaks, shown

if TYPE_CHECKING:
    from collections.abc import Callable

BODY = json.dumps({"From": "+15005550006", "text": "grüße"}, ensure_ascii=False).encode()
SIGNATURE, SETTINGS = "X-Twilio-Signature", "X-Twilio-Webhooks-Signature-Settings"


@pytest.fixture
def known() -> Secrets:
    return new_secrets()


def refusal(call: Callable[[], object]) -> WebhookError:
    error = caught(call)
    assert isinstance(error, WebhookError), error
    return error


def reason(verifier: Verifier, url: str = URL, **request: Any) -> str:
    return refusal(lambda: verifier.verify(url, **request)).reason


def test_forms_gets_and_bodies(known: Secrets) -> None:
    verifier = known.verifier()

    signed = sign_request(URL, params=FORM, auth_token=known.primary)
    assert verifier.verify(signed.url, params=FORM, headers=signed.headers) is True
    signed = sign_request(URL, auth_token=known.primary)
    assert verifier.verify(signed.url, headers=signed.headers) is True
    assert verifier.verify(signed.url, params={}, headers=signed.headers) is True
    assert verifier.verify(signed.url, body=b"", headers=signed.headers) is True
    signed = sign_request(URL, body=BODY, auth_token=known.primary)
    assert verifier.verify(signed.url, body=BODY, headers=signed.headers) is True


def test_every_part_is_signed(known: Secrets) -> None:
    verifier = known.verifier()
    headers = signed_headers(URL, known.primary, FORM)

    for changed in ({**FORM, "Body": "x"}, {**FORM, "More": "1"}, {"From": FORM["From"]}, None):
        assert reason(verifier, params=changed, headers=headers) == "wrong-signature"
    for url in (URL + "&x=1", URL.replace("https", "http"), URL.replace("sms", "Sms")):
        assert reason(verifier, url, params=FORM, headers=headers) == "wrong-signature"


def test_bodies_that_are_not_the_one_that_was_signed(known: Secrets) -> None:
    verifier = known.verifier()
    signed = sign_request(URL, body=BODY, auth_token=known.primary)
    bare = sign_request(URL, auth_token=known.primary)

    for body in (BODY + b" ", b"", None, b"{}"):
        assert reason(verifier, signed.url, body=body, headers=signed.headers) == "wrong-body"
    assert reason(verifier, signed.url, params={}, headers=signed.headers) == "wrong-body"
    assert reason(verifier, bare.url, body=BODY, headers=bare.headers) == "no-body-hash"
    twice = signed.url + "&bodySHA256=" + "0" * 64
    again = sign_request(twice, auth_token=known.primary)
    assert reason(verifier, twice, body=BODY, headers=again.headers) == "wrong-body"


def test_the_traps_of_twilios_validator(known: Secrets) -> None:
    """Each row of what twilio's RequestValidator 9.13.0 does with odd input."""
    verifier, theirs = known.verifier(), RequestValidator(known.primary)
    headers = signed_headers(URL, known.primary)

    forged = RequestValidator("").compute_signature(URL, {})
    assert reason(verifier, headers={SIGNATURE: forged}) == "wrong-signature"
    assert reason(verifier, headers={}) == "unsigned"
    with pytest.raises(TypeError):
        theirs.validate(URL, {}, None)
    with pytest.raises(TypeError):
        theirs.validate(URL, "text", headers[SIGNATURE])
    assert reason(verifier, body="text", headers=headers) == "no-body-hash"
    signed = sign_request(URL, body=BODY, auth_token=known.primary)
    with pytest.raises((IndexError, TypeError)):
        theirs.validate(signed.url, BODY, signed.headers[SIGNATURE])
    assert verifier.verify(signed.url, body=BODY, headers=signed.headers)
    settings_ = {SETTINGS: f"key={KEY_ID},algorithm=HMAC_MD5"}
    assert reason(verifier, headers=headers | settings_) == "algorithm"
    assert verifier.verify(URL, headers=headers)  # a GET: its query is in the URL already
    for url, other in (
        ("https://user:pw@host:8443/x", "https://user:pw@host/x"),
        ("https://[::1]:8443/x", "https://[::1]/x"),
    ):
        headers = signed_headers(other, known.primary)
        assert not theirs.validate(url, {}, headers[SIGNATURE])
        assert verifier.verify(url, headers=headers)
    repeated = [("MediaUrl", "b"), ("MediaUrl", "a"), ("MediaUrl", "b")]
    headers = signed_headers(URL, known.primary, repeated)
    assert not theirs.validate(URL, dict(repeated), headers[SIGNATURE])
    assert verifier.verify(URL, params=repeated, headers=headers)


def test_headers_of_every_kind(known: Secrets) -> None:
    from django.http.request import HttpHeaders
    from starlette.datastructures import Headers as StarletteHeaders
    from werkzeug.datastructures import Headers as WerkzeugHeaders

    key = (KEY_ID, known.shared)
    given = sign_request(URL, params=FORM, shared_key=key).headers | {"Host": "example.com"}
    environ = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in given.items()}
    raw = [(name.lower().encode(), value.encode()) for name, value in given.items()]
    kinds: list[Any] = [
        given,
        {name.upper(): value for name, value in given.items()},
        environ | {"wsgi.version": (1, 0), "QUERY_STRING": ""},
        raw,
        iter(raw),
        HttpHeaders(environ),
        StarletteHeaders(raw=raw),
        WerkzeugHeaders(list(given.items())),
    ]
    for headers in kinds:
        assert known.verifier(shared_keys_only=True).verify(URL, params=FORM, headers=headers)


def test_a_header_that_comes_twice_is_refused(known: Secrets) -> None:
    headers = list(signed_headers(URL, known.primary).items())

    assert reason(known.verifier(), headers=headers * 2) == "malformed"


def test_both_tokens_of_a_rotation(
    known: Secrets, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    verifier = known.verifier()
    now = [1000.0]
    monkeypatch.setattr("safetwilio.webhooks.verify.time.monotonic", lambda: now[0])
    assert verifier.verify(URL, headers=signed_headers(URL, known.primary))
    assert caplog.records == []
    for _ in range(3):
        assert verifier.verify(URL, headers=signed_headers(URL, known.other))
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "[ST407]" in caplog.text
    now[0] += 61
    assert verifier.verify(URL, headers=signed_headers(URL, known.other))
    assert len(caplog.records) == 2
    assert leaks(caplog.text, known) == []
    assert reason(one(known.primary), headers=signed_headers(URL, known.other)) == "wrong-signature"


def test_the_secrets_are_asked_for_at_each_request(known: Secrets) -> None:
    answers = [SigningSecrets((SecretStr(token),)) for token in (known.other, known.primary)]
    verifier = Verifier(answers.pop)
    headers = signed_headers(URL, known.primary)

    assert verifier.verify(URL, headers=headers)
    assert reason(verifier, headers=headers) == "wrong-signature"


@pytest.mark.parametrize("algorithm", ["HMAC_SHA256", "HMAC_SHA1"])
def test_shared_keys(known: Secrets, algorithm: str) -> None:
    signed = sign_request(URL, params=FORM, shared_key=(KEY_ID, known.shared), algorithm=algorithm)

    assert known.verifier().verify(URL, params=FORM, headers=signed.headers)
    said = () if algorithm == "HMAC_SHA1" else (algorithm,)
    if not said or hasattr(request_validator, algorithm):  # which old releases do not know
        theirs = RequestValidator(known.shared)
        assert theirs.validate(URL, FORM, signed.headers[SIGNATURE], *said)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (f"key={KEY_ID}x,algorithm=HMAC_SHA256", "unknown-key"),
        ("algorithm=HMAC_SHA256", "unknown-key"),
        ("key=,algorithm=HMAC_SHA256", "unknown-key"),
        (f"key={KEY_ID},key={KEY_ID},algorithm=HMAC_SHA256", "unknown-key"),
        (f"key={KEY_ID}", "algorithm"),
        (f"key={KEY_ID},algorithm=", "algorithm"),
        (f"key={KEY_ID},algorithm=NONE", "algorithm"),
        (f"key={KEY_ID},algorithm=HMAC_SHA1,algorithm=HMAC_SHA256", "algorithm"),
        (f"key={KEY_ID},algorithm=HMAC_SHA1", "wrong-signature"),
        ("", "wrong-signature"),  # an Auth Token's, then
        ("nonsense", "unknown-key"),
    ],
)
def test_the_senders_word_on_the_key_is_not_believed(
    known: Secrets, said: str, expected: str
) -> None:
    headers = sign_request(URL, shared_key=(KEY_ID, known.shared)).headers | {SETTINGS: said}

    assert reason(known.verifier(), headers=headers) == expected


def test_an_auth_token_does_not_sign_for_a_shared_key(known: Secrets) -> None:
    headers = sign_request(URL, shared_key=(KEY_ID, known.primary)).headers
    assert reason(known.verifier(), headers=headers) == "wrong-signature"
    headers = sign_request(URL, auth_token=known.shared).headers
    assert reason(known.verifier(), headers=headers) == "wrong-signature"


def test_shared_keys_only(known: Secrets) -> None:
    verifier = known.verifier(shared_keys_only=True)
    error = refusal(lambda: verifier.verify(URL, headers=signed_headers(URL, known.primary)))

    assert (error.code, error.reason, error.status) == ("ST405", "auth-token", 403)
    headers = sign_request(URL, shared_key=(KEY_ID, known.shared)).headers
    assert verifier.verify(URL, headers=headers)


def test_allowed_algorithms(known: Secrets) -> None:
    verifier = known.verifier(algorithms=("HMAC_SHA256",))
    headers = signed_headers(URL, known.primary)
    assert reason(verifier, headers=headers) == "algorithm"
    for wrong in ((), ("HMAC_MD5",), ("sha1",)):
        assert caught(lambda wrong=wrong: known.verifier(algorithms=wrong)).code == "ST910"  # type: ignore[union-attr]


def test_the_work_is_the_same_whoever_signed(monkeypatch: pytest.MonkeyPatch) -> None:
    counted: list[int] = []
    monkeypatch.setattr(
        canonical,
        "signature",
        lambda *a, real=canonical.signature: (counted.append(1), real(*a))[1],
    )
    tokens = [auth_token() for _ in range(3)]
    values = SigningSecrets(map(SecretStr, tokens))
    verifier = Verifier(lambda: values)
    works = []
    for token in (*tokens, auth_token()):
        headers = signed_headers(URL.replace(".com", ".com:443"), token, FORM)
        counted.clear()
        caught(lambda headers=headers: verifier.verify(URL, params=FORM, headers=headers))  # type: ignore[misc]
        works.append(len(counted))

    assert works == [6, 6, 6, 6]  # two URLs for each of three tokens


ODD: Any = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.binary(max_size=20)
    | st.text(st.characters(categories=None), max_size=20)
    | st.sampled_from([URL, "https://[", "http://a:b@c:d", "\0", "\ud800", SIGNATURE, SETTINGS]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text(max_size=5) | st.sampled_from([SIGNATURE, SETTINGS]), inner)
    ),
    max_leaves=6,
)
HEADERS: Any = ODD | st.fixed_dictionaries(
    {SIGNATURE: st.text(st.characters(categories=None)) | ODD}, optional={SETTINGS: ODD | st.text()}
)


@settings(max_examples=200)
@given(url=ODD | st.text(), params=ODD, body=ODD, headers=HEADERS, is_form=st.booleans())
def test_hostile_input_is_refused_and_nothing_else(
    url: Any, params: Any, body: Any, headers: Any, *, is_form: bool
) -> None:
    known = new_secrets()
    what = {"params": params} if is_form else {"body": body}
    verifier = known.verifier()
    error = refusal(lambda: verifier.verify(url, **what, headers=headers))

    assert error.__context__ is error.__cause__ is None
    assert leaks(shown(error), known) == []


def test_huge_input(known: Secrets) -> None:
    big = "x" * 3_000_000
    form = {f"n{number}": "v" for number in range(50_000)}

    for url in (URL + big, "https://" + ":" * 1_000_000, "https://[" + big):
        word = reason(known.verifier(), url, params=form, headers={SIGNATURE: big})
        assert word == "wrong-signature"
    assert reason(known.verifier(), headers={SIGNATURE: "x", SETTINGS: "," * 1_000_000}) == (
        "unknown-key"
    )


class _Interrupts(dict[str, str]):
    """A form in the middle of which something comes from outside."""

    def items(self) -> Any:
        raise KeyboardInterrupt


@pytest.mark.parametrize("params", [FORM, _Interrupts(FORM), {"Body": 1}, {"Body": "\ud800"}, 5])
def test_no_refusal_shows_anything(known: Secrets, params: Any) -> None:
    value = auth_token()  # what a message may hold
    if isinstance(params, dict):
        params["Secret"] = value
    verifier = known.verifier()
    expected = signed_headers(URL, known.primary, FORM)[SIGNATURE]
    request = Opaque({"params": params, "headers": {SIGNATURE: "x" * 28}})
    error = caught(lambda: verifier.verify(URL, **request.value))

    assert isinstance(error, (WebhookError, KeyboardInterrupt))
    assert_silent(error, [*known, value, expected])
    spotter = Spotter(*known, value, expected)
    frames = []
    trace = error.__traceback__
    while trace:
        if "/webhooks/" in trace.tb_frame.f_code.co_filename and "test_" not in str(trace.tb_frame):
            frames.append({**trace.tb_frame.f_locals, "self": None})
        trace = trace.tb_next
    assert frames
    assert spotter.in_object(frames) == []
    if isinstance(error, KeyboardInterrupt):
        return
    again = pickle.loads(pickle.dumps(error))  # noqa: S301
    assert (type(again), str(again), again.reason) == (type(error), str(error), error.reason)


def test_the_log_has_the_reason_and_no_value(
    known: Secrets, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    caught(lambda: known.verifier().verify(URL, params=FORM, headers={}))
    caught(lambda: known.verifier().verify(URL, params=FORM, headers={SIGNATURE: "x"}))

    assert [(r.name, r.levelno, r.getMessage()) for r in caplog.records] == [
        ("safetwilio.webhooks", logging.INFO, "[ST401] A webhook was refused: unsigned"),
        ("safetwilio.webhooks", logging.WARNING, "[ST402] A webhook was refused: wrong-signature"),
    ]


def test_what_the_secrets_raise_is_passed_on_without_the_request(known: Secrets) -> None:
    def fails() -> SigningSecrets:
        raise OSError("no backend")

    value = auth_token()
    request = Opaque({"params": {"Body": value}, "headers": signed_headers(URL, known.primary)})
    error = caught(lambda: Verifier(fails).verify(URL, **request.value))
    assert isinstance(error, OSError)
    assert_silent(error, [value, request.value["headers"][SIGNATURE]])
    none: Any = lambda: known.primary  # noqa: E731
    wrong = caught(lambda: Verifier(none).verify(URL, **request.value))
    assert isinstance(wrong, UsageError)
    assert_silent(wrong, [value, known.primary])


def test_params_and_body_together_are_a_fault_of_the_caller(known: Secrets) -> None:
    error = caught(lambda: known.verifier().verify(URL, params=FORM, body=BODY, headers={}))

    assert isinstance(error, UsageError)
    assert error.code == "ST910"


BAD: list[tuple[Any, Any]] = [
    ((SecretStr(""),), None),
    ((SecretStr("  \n"),), None),
    ((SecretStr("12345"),), None),
    ((SecretStr("a" * 32),), None),
    ((SecretStr("ABCDEF" * 5 + "12"),), None),
    ((None,), None),
    (("0123",), None),
    (SecretStr("x"), None),
    (5, None),
    ((), {KEY_ID: SecretStr("")}),
    ((), {KEY_ID: SecretStr("short")}),
    ((), {KEY_ID: SecretStr("with a space in the middle of it")}),
    ((), {"": SecretStr("B8k2" * 3 + "Zq71nVt0")}),
    ((), {KEY_ID: "plain text of any length"}),
    ((), ["x"]),
]


@pytest.mark.parametrize(("tokens", "keys"), BAD, ids=range(len(BAD)))
def test_secrets_that_cannot_be_right(tokens: Any, keys: Any) -> None:
    given_ = Opaque((tokens, keys))
    del tokens, keys
    error = caught(lambda: SigningSecrets(*given_.value))

    assert isinstance(error, ConfigurationError)
    assert codes(error) == ["ST411"]
    assert_silent(error, ["plain text of any length"])


def test_each_wrong_secret_is_named_and_none_is_shown(known: Secrets) -> None:
    sid, short = account_sid(), auth_token()[:12]
    bad = Opaque(([SecretStr(known.primary), SecretStr(short)], {KEY_ID: SecretStr(sid)}))
    error = caught(lambda: SigningSecrets(*bad.value))

    assert isinstance(error, ConfigurationError)
    assert codes(error) == ["ST411", "ST411"]
    assert "Auth Token 2 (12 characters" in str(error)
    assert_silent(error, [*known, short, sid])


def test_no_secret_at_all() -> None:
    error = caught(SigningSecrets)

    assert isinstance(error, ConfigurationError)
    assert codes(error) == ["ST410"]


def test_signing_secrets_show_nothing(known: Secrets) -> None:
    values = known.values()

    assert repr(values) == str(values) == "<SigningSecrets: 2 Auth Tokens, 1 SharedKeys>"
    assert leaks(repr(values.shared_keys) + repr(values.auth_tokens), known) == []
    with pytest.raises(RefusedBeforeSending) as refused:
        pickle.dumps(values)
    assert refused.value.code == "ST803"
    with pytest.raises(AttributeError):
        values.auth_tokens = ()
    with pytest.raises(AttributeError):
        del values.auth_tokens
    assert copy.copy(values) is copy.deepcopy(values) is values
    with pytest.raises(TypeError):
        values.shared_keys["x"] = SecretStr("x")  # type: ignore[index]


def test_the_id_of_a_delivery(known: Secrets) -> None:
    headers = signed_headers(URL, known.primary, FORM)
    first = delivery_id(headers)

    assert first == delivery_id({name.lower(): value for name, value in headers.items()})
    assert first != delivery_id(signed_headers(URL, known.primary))
    assert leaks(first, [headers[SIGNATURE]]) == []
    for nothing in ({}, None, {SIGNATURE: ""}, {SIGNATURE: 5}, list(headers.items()) * 2):
        assert isinstance(caught(lambda h=nothing: delivery_id(h)), UnsignedRequest)  # type: ignore[misc]


def test_the_order_of_parameters_does_not_matter(known: Secrets) -> None:
    headers = signed_headers(URL, known.primary, FORM)

    for pairs in permutations(FORM.items()):
        assert known.verifier().verify(URL, params=list(pairs), headers=headers)
        assert known.verifier().verify(URL, params=dict(pairs), headers=headers)


def test_sign_request_wants_one_secret(known: Secrets) -> None:
    for wrong in (
        {},
        {"auth_token": known.primary, "shared_key": (KEY_ID, known.shared)},
        {"auth_token": known.primary, "params": FORM, "body": BODY},
    ):
        call = Opaque(wrong)
        error = caught(lambda call=call: sign_request(URL, **call.value))  # type: ignore[misc]
        assert isinstance(error, UsageError)
        assert_silent(error, known)


def test_the_words_of_a_refusal_are_stable() -> None:
    assert issubclass(SignatureMismatch, WebhookError)
    error = SignatureMismatch("It is so.", reason="wrong-body")
    assert (error.code, error.reason, error.status) == ("ST402", "wrong-body", 403)
