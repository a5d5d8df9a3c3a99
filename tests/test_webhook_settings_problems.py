"""``WebhookSettings``: what is refused, with which code, and that it does not show."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from safetwilio import WebhookSettings
from safetwilio.errors import (
    BackendError,
    BackendUnavailable,
    ConfigurationError,
    InvalidCredentials,
    UsageError,
)
from support import (
    Key,
    Opaque,
    account_sid,
    assert_silent,
    auth_token,
    caught,
    codes,
    key_secret,
    new_key,
    refused,
    write,
)
from webhook_names import KEY_ID, KEYS, PUBLIC, SECONDARY, TOKEN, URL, held, put


@pytest.fixture
def token(monkeypatch: pytest.MonkeyPatch) -> str:
    """Put an Auth Token into the environment, as that of the webhooks."""
    value = auth_token()
    monkeypatch.setenv(TOKEN, value)
    return value


BAD_TOKENS = {
    "empty": "",
    "blank": "  ",
    "an API key's secret": key_secret(),
    "an API key's SID": new_key().sid,
    "an account's SID": account_sid(),
    "in capitals": auth_token().upper(),
    "cut short": auth_token()[:-1],
    "twice": auth_token() * 2,
    "a placeholder": "x" * 32,
    "in quotes": f'"{auth_token()}"',
    "not ASCII": "é" * 32,
}


def test_nothing_anywhere_says_where_it_looked() -> None:
    error = refused(WebhookSettings)
    assert codes(error) == ["ST410"]
    assert type(error) is ConfigurationError
    looked = [(each.place, each.name) for each in error.problems[0].looked_in]
    assert looked == [("env", TOKEN), ("env", KEYS), ("dotenv", ".env")]
    assert TOKEN in error.problems[0].fix
    assert KEYS in error.problems[0].fix
    assert str(error).endswith("safetwilio doctor --webhooks")


def test_in_production_no_dotenv_file_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    write(Path(".env"), f"{TOKEN}={auth_token()}\n")
    monkeypatch.setenv("SAFETWILIO_ENV", "production")
    error = refused(WebhookSettings)
    assert codes(error) == ["ST410"]
    assert "not looked at: SAFETWILIO_ENV is production" in str(error)


def test_an_api_key_is_no_signing_secret(configured: Key) -> None:
    error = refused(WebhookSettings)
    assert codes(error) == ["ST410"]
    assert_silent(error, [configured.secret])


def test_a_secondary_token_alone_is_not_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SECONDARY, auth_token())
    assert codes(refused(WebhookSettings)) == ["ST410"]
    assert codes(refused(lambda: WebhookSettings(secondary_auth_token=auth_token()))) == ["ST410"]


def test_a_token_is_not_enough_where_only_shared_keys_count(token: str) -> None:
    error = refused(lambda: WebhookSettings(shared_keys_only=True))
    assert codes(error) == ["ST410"]
    assert KEYS in error.problems[0].fix
    assert TOKEN not in error.problems[0].fix
    assert_silent(error, [token])


@pytest.mark.parametrize("name", [TOKEN, SECONDARY])
@pytest.mark.parametrize("kind", [kind for kind in BAD_TOKENS if kind not in {"empty", "blank"}])
def test_tokens_that_are_none(
    name: str, kind: str, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = BAD_TOKENS[kind]
    monkeypatch.setenv(name, bad)
    error = refused(WebhookSettings)
    assert codes(error) == ["ST411"]
    assert name in error.problems[0].found_in[0]
    assert_silent(error, {bad, token})


@pytest.mark.parametrize("kind", BAD_TOKENS)
def test_arguments_that_are_none(kind: str) -> None:
    bad, good = Opaque(BAD_TOKENS[kind]), Opaque(auth_token())
    for call in (
        lambda: WebhookSettings(auth_token=bad.value),
        lambda: WebhookSettings(auth_token=SecretStr(bad.value)),
        lambda: WebhookSettings(auth_token=good.value, secondary_auth_token=bad.value),
    ):
        error = refused(call)
        assert codes(error) == ["ST411"]
        assert "the argument" in error.problems[0].found_in[0]
        assert_silent(error, {bad.value, good.value} - {"", "  "})


def test_blank_variables_are_no_unset_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody meant to fill them."""
    monkeypatch.setenv(TOKEN, auth_token())
    monkeypatch.setenv(KEYS, " ")
    error = refused(WebhookSettings)
    assert codes(error) == ["ST411"]
    assert KEYS in error.problems[0].found_in[0]
    monkeypatch.setenv(TOKEN, "")
    monkeypatch.setenv(KEYS, f"{KEY_ID}={key_secret(40)}")
    assert codes(refused(WebhookSettings)) == ["ST411"]


@pytest.mark.parametrize(
    ("text", "places"),
    [
        ("{secret}", ["SharedKey 1 (its id"]),
        ("={secret}", ["SharedKey 1 (its id"]),
        ("{id}=", ["SharedKey 1 (its id"]),
        ("{id}={secret},{secret}", ["SharedKey 2 (its id"]),
        ("{id}={secret} {id}={secret}", ["SharedKey 2 (its id"]),
        ("{secret},{secret},{id}=short", ["SharedKey 1", "SharedKey 2", "SharedKey 3 (5"]),
        ("{id}=SK00000000000000000000000000000000", ["SharedKey 1 (34 characters"]),
        ("{id}=your_shared_key_secret_goes_here", ["SharedKey 1 (a placeholder"]),
    ],
)
def test_texts_that_list_no_shared_keys(
    text: str, places: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = key_secret(40)
    monkeypatch.setenv(KEYS, text.format(id=KEY_ID, secret=secret))
    error = refused(WebhookSettings)
    assert codes(error) == ["ST411"] * len(places)
    for problem, place in zip(error.problems, places, strict=True):
        assert f"env {KEYS}, {place}" in problem.found_in[0]
    assert_silent(error, [secret])


def test_shared_keys_that_are_none() -> None:
    for keys in ({"": key_secret(40)}, {KEY_ID: ""}, {KEY_ID: "short"}, {KEY_ID: "a b" * 20}):
        opaque = Opaque(keys)
        error = refused(lambda opaque=opaque: WebhookSettings(shared_keys=opaque.value))
        assert codes(error) == ["ST411"]
        assert_silent(error, [value for value in keys.values() if len(value) > 10])


@pytest.mark.parametrize(
    "url",
    ["example.com", "ftp://example.com", "https://", "https://a.example/?b", "https://a b"],
)
def test_public_urls_that_are_none(url: str, token: str, monkeypatch: pytest.MonkeyPatch) -> None:
    del token
    error = refused(lambda: WebhookSettings(public_url=url))
    assert codes(error) == ["ST412"]
    assert error.problems[0].found_in == ("the argument public_url",)
    monkeypatch.setenv(URL, url)
    error = refused(WebhookSettings)
    assert codes(error) == ["ST412"]
    assert error.problems[0].found_in == (f"env {URL}",)


def test_a_public_url_that_cannot_be_read_is_not_none_at_all(
    token: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without one the Host header would be believed, and nobody would know."""
    file = write(tmp_path / "hooks", f"{TOKEN}={token}\n")
    monkeypatch.setenv(f"{URL}_FILE", str(tmp_path / "nothing"))
    for call in (
        WebhookSettings,
        lambda: WebhookSettings(_backend=f"dotenv:{file}"),
        lambda: WebhookSettings(auth_token=auth_token()),
    ):
        assert codes(refused(call)) == ["ST305"]
    write(tmp_path / "nothing", PUBLIC)
    monkeypatch.setenv(URL, "https://other.example")
    assert codes(refused(lambda: WebhookSettings(_backend=f"dotenv:{file}"))) == ["ST211"]


@pytest.mark.parametrize("proxies", ["nonsense", ["10.0.0.0/8", "x"], ["10.0.0.1/8"], [5], [""]])
def test_proxies_that_are_none(proxies: Any, token: str) -> None:
    error = refused(lambda: WebhookSettings(proxies=proxies))
    assert codes(error) == ["ST413"]
    assert_silent(error, [token])


def test_two_different_tokens(token: str, monkeypatch: pytest.MonkeyPatch) -> None:
    other = auth_token()
    monkeypatch.setenv("TWILIO_AUTH_TOKEN", other)
    error = refused(WebhookSettings)
    assert isinstance(error, InvalidCredentials)
    assert codes(error) == ["ST211"]
    assert_silent(error, [token, other])


def test_backends_that_are_broken(
    token: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unreadable = write(tmp_path / "x", b"\xff\xfe")
    for reference, code in (
        ("nonsense:", "ST301"),
        (f"dotenv:{unreadable}", "ST3"),
        ("env:location", "ST302"),
        (f"/{token}", "ST302"),
    ):
        monkeypatch.setenv("SAFETWILIO_WEBHOOK_BACKEND", reference)
        opaque = Opaque(reference)
        for call in (WebhookSettings, lambda o=opaque: WebhookSettings(_backend=o.value)):
            error = refused(call)
            assert isinstance(error, BackendError)
            assert codes(error)[0].startswith(code)
            assert_silent(error, [token])


def test_a_backend_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """The class says so, as with an API key."""
    token = key_secret(40)
    put(monkeypatch, {"VAULT_ADDR": "http://127.0.0.1:1", "VAULT_TOKEN": token})
    error = refused(lambda: WebhookSettings(_backend="vault://secret/app"))
    assert isinstance(error, BackendUnavailable)
    assert_silent(error, [token])


def test_all_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    bad = {TOKEN: key_secret(), SECONDARY: auth_token().upper(), KEYS: key_secret(40)}
    put(monkeypatch, {**bad, URL: "nowhere"})
    error = refused(lambda: WebhookSettings(proxies=["nowhere"]))
    assert sorted(codes(error)) == ["ST411", "ST411", "ST411", "ST412", "ST413"]
    assert_silent(error, bad.values())
    again = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own
    assert str(again) == str(error)


def test_names_of_accounts_that_are_none() -> None:
    """What was given beside one stays hidden."""
    token = Opaque(auth_token())
    for name in ("default", "webhook", "my_webhook", "a-b", ""):
        error = caught(
            lambda name=name: WebhookSettings(
                auth_token=token.value, shared_keys={KEY_ID: token.value}, _account=name
            )
        )
        assert isinstance(error, UsageError)
        assert error.code == "ST906"
        assert_silent(error, [token.value])


def test_values_of_another_type_stay_hidden_too() -> None:
    token = Opaque(auth_token().encode())
    error = refused(lambda: WebhookSettings(auth_token=token.value))
    assert codes(error) == ["ST411"]
    assert_silent(error, [token.value.decode()])


_IDS = st.text(
    st.characters(codec="ascii", categories=["L", "N"], include_characters="_-"), min_size=1
)
_SECRETS = st.text(
    st.characters(codec="ascii", categories=["L", "N"], include_characters="+/="),
    min_size=32,
    max_size=64,
).filter(lambda text: len(set(text)) > 8 and text[:2] not in {"SK", "AC"})


@given(keys=st.dictionaries(_IDS, _SECRETS, min_size=1, max_size=5), data=st.data())
def test_every_list_of_shared_keys_is_read(keys: dict[str, str], data: st.DataObject) -> None:
    between = st.text(" ,\n\t\r", min_size=1, max_size=3)
    ends = st.text(" ,\n", max_size=2)
    entries = [f"{name}={secret}" for name, secret in keys.items()]
    text = data.draw(ends)
    for entry in entries:
        text += entry + data.draw(between)
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv(KEYS, text)
        assert held(WebhookSettings()) == (None, None, keys)


@given(text=st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])))
def test_no_text_is_more_than_a_problem(text: str) -> None:
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv(KEYS, text)
        error = caught(WebhookSettings)
    assert error is None or set(codes(error)) == {"ST411"}
