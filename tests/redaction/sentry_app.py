"""An application that sends its secrets to Sentry in every way; run by ``test_sentry.py``.

Its argument says when redaction is installed: ``before-import``, ``after-init`` or ``never``.
"""

from __future__ import annotations

import base64
import logging
import os
import sys
from pathlib import Path

from safetwilio import redaction

ORDER = sys.argv[1]
ACCOUNT, TOKEN = os.environ["FAKE_ACCOUNT"], os.environ["FAKE_TOKEN"]
BASIC = base64.b64encode(f"{ACCOUNT}:{TOKEN}".encode()).decode()

redaction.register(TOKEN, "token")
redaction.register(ACCOUNT, "account")
if ORDER == "before-import":
    assert "sentry_sdk" not in sys.modules
    assert [h.state for h in redaction.install(strict=True)][:2] == ["active", "waiting"]

import sentry_sdk  # noqa: E402

sentry_sdk.init(
    dsn=os.environ["FAKE_DSN"],
    traces_sample_rate=1.0,
    enable_logs=True,
    include_local_variables=True,
    release=f"app@{ACCOUNT}",
)
if ORDER == "after-init":
    redaction.install(strict=True)
if ORDER != "never":
    assert [h.state for h in redaction.health()][:2] == ["active", "active"]


def fail() -> None:
    """Fail with secrets in local variables, in all the forms in which they occur."""
    headers = {"Authorization": f"Basic {BASIC}"}
    pair = (ACCOUNT, TOKEN)
    raise RuntimeError(f"{pair} {headers}\n{TOKEN}")


scope = sentry_sdk.get_isolation_scope()
scope.set_tag("account", ACCOUNT)
scope.add_attachment(bytes=TOKEN.encode() + b"\0\xff", filename=f"{ACCOUNT}.bin")
scope.add_attachment(path=Path(os.environ["FAKE_FILE"]))
with sentry_sdk.start_transaction(name=f"/Accounts/{ACCOUNT}", op="test") as transaction:
    with sentry_sdk.start_span(op="http", name=f"GET https://{ACCOUNT}:{TOKEN}@api.twilio.com"):
        pass
    transaction.set_data("basic", BASIC)
    logging.getLogger("app").warning("breadcrumb %s", TOKEN, extra={"holder": [TOKEN]})
    try:
        fail()
    except RuntimeError as error:
        sentry_sdk.capture_exception(error)
    logging.getLogger("app").error("logged %s", TOKEN)
sentry_sdk.capture_message(f'"{TOKEN}"\\n{TOKEN}')
sentry_sdk.logger.info(f"log {TOKEN}", attributes={"basic": BASIC})
sentry_sdk.metrics.count("sent", 1, attributes={"account": ACCOUNT})
sentry_sdk.crons.capture_checkin(monitor_slug=ACCOUNT, status="ok")
sentry_sdk.get_client().close(timeout=20)
