"""What a type checker knows of safetwilio itself, with or without Twilio's own annotations.

These files are checked, never run: ``python3 dev.py types``. Each ``ignore`` is a claim that the
checker complains; one that is not needed any more fails the check.
"""

from datetime import datetime, timedelta
from typing import assert_type

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings

import safetwilio
from safetwilio import TwilioSettings, break_glass, client, get_client
from safetwilio.access_tokens import AccessJwt
from safetwilio.clients import TwilioClient

# Ours, however it is reached.
assert_type(client, TwilioClient)
assert_type(safetwilio.client, TwilioClient)
assert_type(get_client(), TwilioClient)
assert_type(get_client("marketing"), TwilioClient)
get_client(42)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]

# Misspelt names do not pass as "something dynamic".
safetwilio.clinet  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]  # noqa: B018
safetwilio.get_cleint  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]  # noqa: B018
from safetwilio import clinet  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownVariableType, reportUnusedImport]  # noqa: E402, F401

# Settings: alone, nested, subclassed.
settings = TwilioSettings()
assert_type(settings.account_sid, str)
assert_type(settings.api_key, str)
assert_type(settings.api_secret, SecretStr)
assert_type(settings.region, str | None)
assert_type(settings.edge, str | None)
assert_type(settings.validation_url, str | None)
assert_type(settings.source, str)
assert_type(settings.version, str | None)
settings.auth_token  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]  # noqa: B018


class AppSettings(BaseSettings):
    """An application's own settings, with Twilio's inside."""

    debug: bool = False
    twilio: TwilioSettings = Field(default_factory=TwilioSettings)


class ShopSettings(TwilioSettings):
    """Twilio's settings with one more."""

    sender: str = "+15005550006"


assert_type(AppSettings().twilio, TwilioSettings)
assert_type(ShopSettings().sender, str)

# The process.
safetwilio.configure(settings=AppSettings().twilio)
safetwilio.configure(ShopSettings(), account="marketing")
safetwilio.configure("env")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
state = safetwilio.boot(verify=True, require="restricted")
safetwilio.boot(require="main")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
assert_type(safetwilio.health().ok, bool)
assert_type(state.booted, bool)
assert_type([account.age for account in state.accounts], list[float])
assert_type([sink.name for sink in state.sinks], list[str])
state.booted = True  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]
safetwilio.reset()

# Access tokens: what is made of Twilio's grants is ours, and no string.
access = safetwilio.access_token("ada", [], ttl=timedelta(minutes=15), account="marketing")
assert_type(access, AccessJwt)
assert_type(access.jwt(), str)
assert_type(access.grants, tuple[str, ...])
assert_type(access.expires_at, datetime)
safetwilio.access_token("ada")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
safetwilio.access_token("ada", [], "1h")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
text: str = access  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]

# The sharp tool takes its reason by name, and not without.
with break_glass(reason="ticket 4711"):
    pass
break_glass()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]

# Redaction.
assert_type(safetwilio.redact.redact("text"), str)
assert_type(safetwilio.redact.redact_bytes(b"text"), bytes)
assert_type(safetwilio.redact.fingerprint("0" * 32), str)
safetwilio.redact.register("0" * 32, "password")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
assert_type([sink.state == "active" for sink in safetwilio.redact.install()], list[bool])
