"""What Sentry's SDK sends, as a server on the wire receives it."""

from __future__ import annotations

import base64
import gzip
import json
import os
import secrets
import subprocess
import sys
import threading
import zlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from safetwilio import redaction

sentry_sdk = pytest.importorskip("sentry_sdk")

from sentry_sdk.envelope import Envelope, Item, PayloadRef  # noqa: E402
from sentry_sdk.transport import Transport  # noqa: E402

from safetwilio.redaction.signatures import hide_signatures  # noqa: E402
from safetwilio.redaction.sinks import sentry  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterator

APP = Path(__file__).with_name("sentry_app.py")
ORDERS = ("before-import", "after-init", "never")


class Received:
    """What the server has received from one run of the application."""

    def __init__(self, account: str, token: str) -> None:  # noqa: D107
        self.account, self.token = account, token
        self.bodies: list[bytes] = []

    def forms(self) -> list[bytes]:
        """Return the secrets and what base64 makes of them between unknown neighbours."""
        pair = base64.b64encode(f"{self.account}:{self.token}".encode())
        return [self.account.encode(), self.token.encode(), pair[:44], pair[48:90]]

    def items(self) -> list[Item]:
        """Return all items; one with a wrong length breaks those after it."""
        return [item for body in self.bodies for item in Envelope.deserialize(body).items]


def unpack(data: bytes, encoding: str | None) -> bytes:
    if encoding == "br":
        import brotli  # type: ignore[import-not-found]

        return bytes(brotli.decompress(data))
    if encoding == "deflate":
        return zlib.decompress(data)
    return gzip.decompress(data) if encoding == "gzip" else data


@pytest.fixture(scope="module", params=ORDERS)
def received(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, Received]]:
    """Run the application against a server on loopback."""
    into = Received("AC" + secrets.token_hex(16), secrets.token_hex(16))

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            into.bodies.append(unpack(body, self.headers["Content-Encoding"]))
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    file = tmp_path_factory.mktemp("sentry") / f"{into.account}.txt"
    file.write_text(f"in a file: {into.token}")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("SENTRY", "SAFETW"))}
    environment |= {
        "FAKE_ACCOUNT": into.account,
        "FAKE_TOKEN": into.token,
        "FAKE_FILE": str(file),
        "FAKE_DSN": f"http://public@127.0.0.1:{server.server_port}/1",
        "no_proxy": "127.0.0.1",
    }
    try:
        subprocess.run(
            [sys.executable, str(APP), request.param], env=environment, check=True, timeout=120
        )
        yield request.param, into
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_every_kind_of_item_arrives_without_a_secret(received: tuple[str, Received]) -> None:
    order, got = received
    kinds = {item.headers["type"] for item in got.items()}
    assert kinds >= {"event", "transaction", "log", "trace_metric", "attachment", "check_in"}
    for item in got.items():
        body = item.get_bytes()
        if item.headers["type"] != "attachment":
            assert json.loads(body)
        if order != "never":
            assert not [f for f in got.forms() if f in body + json.dumps(item.headers).encode()]
    leaks = [form in body for body in got.bodies for form in got.forms()]
    assert any(leaks) == (order == "never")  # else the application would prove nothing


def test_masks_say_which_secret_it_was(received: tuple[str, Received]) -> None:
    order, got = received
    if order == "never":
        return
    everything = b"".join(got.bodies).decode("utf-8", "replace")
    assert f"[TWILIO:token:{redaction.fingerprint(got.token)}]" in everything
    assert f"[TWILIO:account:{redaction.fingerprint(got.account)}]" in everything
    assert any("[TWILIO:account:" in body.split(b"\n")[0].decode() for body in got.bodies)
    attachments = {
        i.headers["filename"]: i.get_bytes()
        for i in got.items()
        if i.headers["type"] == "attachment"
    }
    assert len(attachments) == 2
    assert all(name.startswith("[TWILIO:account:") for name in attachments)
    assert any(body.endswith(b"]\0\xff") for body in attachments.values())


def envelope(text: str) -> Envelope:
    return Envelope(
        headers={"trace": {"transaction": text}},
        items=[
            Item(PayloadRef(json={"message": text}), type="event"),
            Item(text.encode(), type="attachment", filename=text),
            Item(PayloadRef(json={"n": 1}), type="log"),
        ],
    )


@pytest.mark.usefixtures("installed")
def test_the_callers_objects_are_not_changed(token: str) -> None:
    made = envelope(token)
    written = made.serialize()
    assert token.encode() not in written
    assert made.headers == {"trace": {"transaction": token}}
    assert made.items[0].payload.json == {"message": token}
    assert made.items[1].headers["filename"] == token
    back = Envelope.deserialize(written)
    assert [i.headers["length"] for i in back.items] == [len(i.get_bytes()) for i in back.items]
    redaction.uninstall()
    assert token.encode() in made.serialize()


@pytest.mark.usefixtures("installed")
def test_an_envelope_without_a_secret_is_written_as_ever() -> None:
    made = envelope("nothing")
    written = made.serialize()
    redaction.uninstall()
    assert made.serialize() == written


class Custom(Transport):
    """A transport of the user's own, which reads envelopes as objects."""

    def __init__(self) -> None:  # noqa: D107
        super().__init__()
        self.envelopes: list[Any] = []

    def capture_envelope(self, envelope: Any) -> None:
        """Keep *envelope*."""
        self.envelopes.append(envelope)


def test_a_custom_transport_gets_a_redacted_copy(token: str) -> None:
    redaction.install(strict=True)
    transport = Custom()
    client = sentry_sdk.Client(
        dsn="http://public@127.0.0.1:9/1", transport=transport, default_integrations=False
    )
    client.capture_event({"message": token})
    client.capture_event({"message": "nothing"})
    dirty = envelope(token)
    transport.capture_envelope(dirty)
    first, second, third = transport.envelopes
    assert first.get_event()["message"] == redaction.redact(token)
    assert second.get_event()["message"] == "nothing"
    assert token.encode() not in third.serialize()
    assert third.items[1].headers["filename"] == redaction.redact(token)
    assert third.items[2] is dirty.items[2]
    redaction.uninstall()
    assert "capture_envelope" not in vars(transport)
    client.close(timeout=1)


def test_the_fallback_is_an_event_processor(token: str) -> None:
    from sentry_sdk.scope import global_event_processors

    before = list(global_event_processors)
    sentry.fall_back()
    sentry.fall_back()
    assert len(global_event_processors) == len(before) + 1
    assert token not in str(global_event_processors[-1]({"a": [{"b": token}]}, {}))
    sentry.uninstall()
    assert global_event_processors == before


def test_the_self_test_needs_the_patch() -> None:
    assert sentry.available()
    assert not sentry.check()
    redaction.install(strict=True)
    assert sentry.check()


HALF = """
import os, sys
from safetwilio import redaction
redaction.install(strict=True)
class Once:
    def find_spec(self, name, path=None, target=None):
        if name == sys.argv[1]:
            sys.meta_path.remove(self)
            raise ImportError(name)
sys.meta_path.insert(0, Once())
try:
    import sentry_sdk
except ImportError:
    assert "sentry_sdk" not in sys.modules
else:
    raise AssertionError
assert [h.state for h in redaction.install()][:2] == ["active", "waiting"]
import sentry_sdk
assert [h.state for h in redaction.health()][:2] == ["active", "active"], redaction.health()
assert [h.state for h in redaction.install(strict=True)][:2] == ["active", "active"]
from sentry_sdk.envelope import Envelope, Item
secret = "AC" + os.urandom(16).hex()
written = Envelope(items=[Item(secret.encode(), type="attachment")]).serialize()
assert secret.encode() not in written and b"[TWILIO:account:" in written
"""


@pytest.mark.parametrize("broken", ["integrations", "transport", "api", "client"])
def test_an_import_that_fails_half_way_and_then_succeeds(broken: str) -> None:
    name = f"sentry_sdk.{broken}"
    subprocess.run([sys.executable, "-c", HALF, name], check=True, timeout=60)


RACE = """
import sys, threading, time
from safetwilio import redaction
middle, errors = threading.Event(), []
class Slow:
    def find_spec(self, name, path=None, target=None):
        if name == sys.argv[1]:
            sys.meta_path.remove(self)
            middle.set()
            time.sleep(0.5)
sys.meta_path.insert(0, Slow())
def application():
    try:
        import sentry_sdk
        sentry_sdk.init
    except BaseException as error:
        errors.append(error)
thread = threading.Thread(target=application, daemon=True)
thread.start()
assert middle.wait(30)
assert [h.state for h in redaction.install(strict=True)][:2] == ["active", "active"]
thread.join(30)
assert not thread.is_alive() and not errors, errors
"""


@pytest.mark.parametrize("slow", ["scope", "client", "envelope", "consts", "utils"])
def test_installing_while_another_thread_imports(slow: str) -> None:
    name = f"sentry_sdk.{slow}"
    subprocess.run([sys.executable, "-c", RACE, name], check=True, timeout=60)


@pytest.mark.parametrize("length", [27, 43])
def test_the_signature_of_a_webhook_is_hidden_wherever_an_event_has_it(length: int) -> None:
    signature = base64.b64encode(secrets.token_bytes(length * 3 // 4)).decode()
    shown = [
        json.dumps({"headers": {"x-twilio-signature": signature}}),
        json.dumps({"vars": {"h": repr({"X-Twilio-Signature": signature})}}),
        json.dumps({"vars": {"h": repr([(b"x-twilio-signature", signature.encode())])}}),
        json.dumps({"env": {"HTTP_X_TWILIO_SIGNATURE": signature}}, indent=1),
        f"<td>HTTP_X_TWILIO_SIGNATURE</td><td><pre>&#x27;{signature}&#x27;</pre></td>",
    ]
    for text in shown:
        hidden = hide_signatures(text.encode()).decode()
        assert signature not in hidden
        assert "[TWILIO:signature]" in hidden
    other = json.dumps({"X-Twilio-Webhooks-Signature-Settings": "key=a,algorithm=HMAC_SHA256"})
    assert hide_signatures(other.encode()).decode() == other
