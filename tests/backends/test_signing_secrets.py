"""What webhooks are signed with, out of every kind of place, beside an API key and without one."""

from __future__ import annotations

import json
import os
import secrets
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

import aws_server
import doppler_server
import gcp_server
import pytest
import vault_server
from dotenv_vault_reports import encrypt, uri, vault
from gcp_google import NAME, PROJECT, Google
from pydantic import SecretStr

from safetwilio import TwilioSettings, WebhookSettings
from safetwilio.backends import chain
from safetwilio.backends.chain import load
from safetwilio.backends.documents import API_KEY, SIGNING, asking_for
from safetwilio.backends.interface import Absent, Found, Record, WritableBackend, seal
from safetwilio.backends.locate import open_backend, parse
from safetwilio.backends.plugins import Plugin
from support import Key, assert_silent, auth_token, codes, key_secret, new_key, refused, write
from webhook_names import KEY_ID, PUBLIC, SECONDARY, TOKEN, URL, held
from webhook_names import KEYS as SHARED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

# Other ways to call them in a JSON document.
CAMEL = {
    TOKEN: "webhookAuthToken",
    SECONDARY: "webhookSecondaryAuthToken",
    SHARED: "webhookSharedKeys",
    URL: "webhookPublicUrl",
    "TWILIO_ACCOUNT_SID": "accountSid",
    "TWILIO_API_KEY": "apiKeySid",
    "TWILIO_API_SECRET": "apiKeySecret",
}
SNAKE = {name: name.removeprefix("TWILIO_").lower() for name in CAMEL}

# A plug-in as its author would write it: a file in JSON, read with our own reader.
PLUGIN = """
from pathlib import Path

from safetwilio.backends import payload
from safetwilio.backends.failures import Failures
from safetwilio.backends.interface import Absent
from safetwilio.problems import Attempt


class Backend:
    def __init__(self, reference):
        self._reference = reference

    def load(self, account):
        path = Path(self._reference.location)
        if not path.exists():
            return Absent((Attempt("corp", str(path), "no such file"),))
        failures = Failures(self._reference, "Corp", "this user")
        return payload.read(
            path.read_text(), failures, account=account, version="1"
        ).answer(account)
"""


class Place(NamedTuple):
    """Where secrets are kept: its *reference*, and how a document is *put* there."""

    reference: str
    put: Callable[[Mapping[str, str]], object]


class Held(NamedTuple):
    """Made-up signing secrets."""

    token: str
    secondary: str
    shared: str

    def document(self, prefix: str = "TWILIO_") -> dict[str, str]:
        """Return them by the names of the environment."""
        texts = {
            TOKEN: self.token,
            SECONDARY: self.secondary,
            SHARED: f"{KEY_ID}={self.shared}",
            URL: PUBLIC,
        }
        return {name.replace("TWILIO_", prefix): text for name, text in texts.items()}


def new_held() -> Held:
    return Held(auth_token(), auth_token(), key_secret(40))


def lines(document: Mapping[str, str]) -> str:
    return "".join(f"{name}={value}\n" for name, value in document.items())


def renamed(document: Mapping[str, str], names: Mapping[str, str]) -> dict[str, str]:
    return {names.get(name, name): value for name, value in document.items()}


@contextmanager
def _env(monkeypatch: pytest.MonkeyPatch, _: Path) -> Iterator[Place]:
    def put(document: Mapping[str, str]) -> None:
        for name in [name for name in os.environ if name.startswith("TWILIO_")]:
            monkeypatch.delenv(name)
        for name, value in document.items():
            monkeypatch.setenv(name, value)

    yield Place("env", put)


@contextmanager
def _dotenv(_: pytest.MonkeyPatch, folder: Path) -> Iterator[Place]:
    path = folder / "hooks.env"
    yield Place(f"dotenv:{path}", lambda document: write(path, lines(document)))


@contextmanager
def _files(_: pytest.MonkeyPatch, folder: Path) -> Iterator[Place]:
    place = folder / "run"

    def put(document: Mapping[str, str]) -> None:
        place.mkdir(exist_ok=True)
        for old in place.iterdir():
            old.unlink()
        for name, value in document.items():
            write(place / name.lower(), value + "\n")

    yield Place(f"files:{place}", put)


@contextmanager
def _aws(monkeypatch: pytest.MonkeyPatch, folder: Path) -> Iterator[Place]:
    with aws_server.AwsServer() as server:
        aws_server.clean(monkeypatch, folder, **server.environment)
        versions: list[str] = []

        def put(document: Mapping[str, str]) -> None:
            keep = server.rotate if versions else server.put
            versions.append(keep(json.dumps(renamed(document, CAMEL))))

        yield Place(f"{aws_server.REFERENCE}?timeout=15", put)


@pytest.fixture(scope="module")
def bao(tmp_path_factory: pytest.TempPathFactory) -> Iterator[vault_server.Bao]:
    with vault_server.Bao(tmp_path_factory.mktemp("bao")) as server:
        yield server


@contextmanager
def _vault(
    monkeypatch: pytest.MonkeyPatch, folder: Path, server: vault_server.Bao
) -> Iterator[Place]:
    vault_server.clean(monkeypatch, folder)
    monkeypatch.setenv("VAULT_ADDR", server.url)
    monkeypatch.setenv("VAULT_TOKEN", server.root)

    def put(document: Mapping[str, str]) -> None:
        server.put(renamed(document, SNAKE))

    yield Place(f"{vault_server.REFERENCE}?timeout=15", put)
    server.exchange("DELETE", vault_server.PATH.replace("/data/", "/metadata/"))


@contextmanager
def _gcp(monkeypatch: pytest.MonkeyPatch, folder: Path) -> Iterator[Place]:
    gcp_server.clean(monkeypatch, folder)
    google = Google()
    with gcp_server.RestServer(google) as url:
        reference = f"gcp-sm://{PROJECT}/{NAME}?transport=rest&endpoint={url}&timeout=15"
        yield Place(reference, google.put)


@contextmanager
def _doppler(monkeypatch: pytest.MonkeyPatch, folder: Path) -> Iterator[Place]:
    with doppler_server.DopplerServer() as server:
        doppler_server.clean(monkeypatch, folder, DOPPLER_TOKEN=server.token("dp.sa."))
        place = f"{doppler_server.PROJECT}/{doppler_server.CONFIG}"
        yield Place(f"doppler://{place}?endpoint={server.url}&timeout=15", server.put)


@contextmanager
def _dotenv_vault(monkeypatch: pytest.MonkeyPatch, folder: Path) -> Iterator[Place]:
    path, digits = folder / ".env.vault", secrets.token_hex(32)
    monkeypatch.setenv("DOTENV_KEY", uri(digits))

    def put(document: Mapping[str, str]) -> None:
        write(path, vault(production=encrypt(lines(document), digits)))

    yield Place(f"dotenv-vault:{path}", put)


@contextmanager
def _plug_in(monkeypatch: pytest.MonkeyPatch, folder: Path) -> Iterator[Place]:
    site = folder / "site"
    write(site / "corp_hooks_plugin.py", PLUGIN)
    info = site / "corp_hooks-1.dist-info"
    write(info / "METADATA", "Metadata-Version: 2.1\nName: corp-hooks\nVersion: 1\n")
    write(info / "entry_points.txt", "[safetwilio.backends]\ncorp = corp_hooks_plugin:Backend\n")
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.delitem(sys.modules, "corp_hooks_plugin", raising=False)
    path = folder / "corp.json"
    yield Place(f"corp:{path}", lambda document: write(path, json.dumps(renamed(document, CAMEL))))


PLACES: dict[str, Callable[..., object]] = {
    "env": _env,
    "dotenv": _dotenv,
    "files": _files,
    "aws-sm": _aws,
    "vault": _vault,
    "gcp-sm": _gcp,
    "doppler": _doppler,
    "dotenv-vault": _dotenv_vault,
    "a plug-in": _plug_in,
}


@pytest.fixture(params=PLACES)
def place(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[Place]:
    """Give each kind of place in turn."""
    more = (request.getfixturevalue("bao"),) if request.param == "vault" else ()
    with PLACES[request.param](monkeypatch, tmp_path, *more) as made:  # type: ignore[attr-defined]
        yield made


def shown(place: Place) -> str:
    """Return the reference as people see it."""
    return place.reference.partition("?")[0]


def test_every_shipped_backend_is_asked() -> None:
    from safetwilio.backends.locate import _SHIPPED

    assert set(_SHIPPED) == set(PLACES) - {"a plug-in"}


def test_the_signing_secrets_come_out(place: Place) -> None:
    mine = new_held()
    place.put(mine.document())
    settings = WebhookSettings(_backend=place.reference)

    assert held(settings) == (mine.token, mine.secondary, {KEY_ID: mine.shared})
    assert (settings.public_url, settings.source) == (PUBLIC, shown(place))
    assert settings.warnings == ()


def test_they_are_read_anew(place: Place) -> None:
    first, then = new_held(), new_held()
    place.put(first.document())
    settings = WebhookSettings(_backend=place.reference)
    place.put(then.document())

    assert held(settings.reload())[0] == then.token
    assert held(settings)[0] == first.token


def test_beside_an_api_key_each_kind_gets_only_its_own(place: Place, key: Key) -> None:
    mine = new_held()
    place.put({**key.environment(), **mine.document()})
    chain = parse(place.reference, place="the test")
    api_key = load(chain, None)
    with asking_for(SIGNING):
        signing = load(chain, None)

    assert isinstance(api_key, Found)
    assert isinstance(signing, Found)
    assert set(api_key.record.fields) == {"account_sid", "key_sid", "secret"}
    assert set(signing.record.fields) == {field.name for field in SIGNING.fields}
    assert api_key.record.token_places == (), "it is no master token that lies about"
    settings = TwilioSettings(_backend=place.reference)
    assert (settings.api_key, settings.warnings) == (key.sid, ())
    assert held(WebhookSettings(_backend=place.reference))[0] == mine.token


def test_an_api_key_alone_is_absent_and_says_where_it_looked(place: Place, key: Key) -> None:
    place.put(key.environment())
    error = refused(lambda: WebhookSettings(_backend=place.reference))

    assert codes(error) == ["ST410"]
    looked_in = error.problems[0].looked_in
    location = shown(place).partition(":")[2] or "env"
    assert [attempt.name for attempt in looked_in] == [TOKEN, SHARED]
    assert all(location in attempt.place for attempt in looked_in)
    assert all(attempt.outcome.startswith(("not ", "no such ")) for attempt in looked_in)
    assert_silent(error, [key.secret])


def test_where_nothing_is_it_says_so_too(place: Place) -> None:
    error = refused(lambda: WebhookSettings(_backend=place.reference))

    assert codes(error) == ["ST410"]
    location = shown(place).partition(":")[2].removeprefix("//") or "env"
    assert location in "".join(str(error).split()), "where it looked"


def test_signing_secrets_alone_are_no_api_key(place: Place) -> None:
    mine = new_held()
    place.put(mine.document())
    error = refused(lambda: TwilioSettings(_backend=place.reference))

    assert "ST104" in codes(error)
    assert "ST501" not in codes(error)
    assert_silent(error, mine)


def test_the_chain_goes_on_to_where_they_are(place: Place, key: Key, tmp_path: Path) -> None:
    place.put(key.environment())
    mine = new_held()
    file = write(tmp_path / "further", lines(mine.document()))
    settings = WebhookSettings(_backend=f"{place.reference},dotenv:{file}")

    assert held(settings)[0] == mine.token
    assert settings.source == f"dotenv:{file}"


def test_of_a_named_account(place: Place) -> None:
    mine = new_held()
    place.put(mine.document("TWILIO_BILLING_"))

    assert held(WebhookSettings(_backend=place.reference, _account="billing"))[0] == mine.token
    for other in (None, "sales"):
        error = refused(lambda o=other: WebhookSettings(_backend=place.reference, _account=o))
        assert codes(error) == ["ST410"]
        assert_silent(error, mine)


def test_a_new_api_key_leaves_them_alone(place: Place, key: Key) -> None:
    (reference,) = parse(place.reference, place="the test")
    backend = open_backend(reference)
    if not isinstance(backend, WritableBackend):
        pytest.skip("it is only read")
    mine, following = new_held(), new_key()
    place.put({**key.environment(), **mine.document()})
    fields = {"account_sid": following.account, "key_sid": following.sid}
    fields["secret"] = following.secret
    backend.save({name: SecretStr(text) for name, text in fields.items()}, account=None)

    assert TwilioSettings(_backend=place.reference).api_key == following.sid
    assert held(WebhookSettings(_backend=place.reference)) == (
        *(mine.token, mine.secondary),
        {KEY_ID: mine.shared},
    )


def test_what_is_asked_for_ends_with_the_block() -> None:
    """Also when it raises; and one kind within the other is possible."""
    asked = parse("env", place="the test")
    with asking_for(SIGNING):
        with pytest.raises(ZeroDivisionError), asking_for(API_KEY):
            raise ZeroDivisionError
        attempts = load(asked, None)
    assert isinstance(attempts, Absent)
    assert [attempt.name for attempt in attempts.attempts] == [TOKEN, SHARED]
    after = load(asked, None)
    assert isinstance(after, Absent)
    assert [attempt.name for attempt in after.attempts] == ["TWILIO_API_KEY", "TWILIO_API_SECRET"]


def test_a_plug_in_that_only_knows_api_keys_is_passed_over(
    monkeypatch: pytest.MonkeyPatch, key: Key
) -> None:
    """One that makes its records itself knows nothing of what it is asked for."""

    class OnlyKeys:
        def load(self, account: str | None) -> Found:
            del account
            fields = {
                "account_sid": seal(key.account, "corp", secret=False),
                "key_sid": seal(key.sid, "corp", secret=False),
                "secret": seal(key.secret, "corp", secret=True),
            }
            return Found(Record("corp", fields))

    token = auth_token()
    monkeypatch.setenv("TWILIO_WEBHOOK_AUTH_TOKEN", token)
    plugin = Plugin(parse("corp:x", place="a test")[0], lambda _: OnlyKeys())
    monkeypatch.setattr(
        chain, "open_backend", lambda ref: plugin if ref.scheme == "corp" else open_backend(ref)
    )
    settings = WebhookSettings(_backend="corp:x,env")
    assert settings.auth_token == SecretStr(token)
    assert settings.source == "env"
    monkeypatch.delenv("TWILIO_WEBHOOK_AUTH_TOKEN")
    error = refused(lambda: WebhookSettings(_backend="corp:x,env"))
    assert "corp" in str(error)
    assert isinstance(plugin.load(None), Found), "an API key is still one"
