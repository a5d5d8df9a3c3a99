"""What checking a webhook's signature costs: safetwilio's Verifier against Twilio's validator.

Both check the same requests, as a framework hands them over: the URL, a form of fifteen parameters
as a voice webhook has them, and the headers.
"""

# ruff: noqa: INP001 - a script

from __future__ import annotations

import secrets
import time
from statistics import median
from typing import TYPE_CHECKING, Any

from common.report import heading, is_quick, line, table
from pydantic import SecretStr
from twilio.request_validator import RequestValidator

from safetwilio.testing.webhooks import sign_request
from safetwilio.webhooks import SigningSecrets, Verifier

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

THEIRS = "RequestValidator"
BLOCKS, QUICK_BLOCKS = 301, 21
REQUESTS = 100  # in a block: short ones, so that other load on the machine meets all alike
URL = "https://example.com/twilio/voice/status?tenant=42&step=2"


def main() -> None:
    """Measure and print."""
    blocks = QUICK_BLOCKS if is_quick(__doc__) else BLOCKS
    form, rows = voice_form(), []
    token, other = secrets.token_hex(16), secrets.token_hex(16)
    heading(f"Webhooks: {blocks} interleaved blocks of {REQUESTS}, medians")
    for name, params in (("form of 15", form), ("GET", None)):
        headers = {
            "Host": "example.com",
            "User-Agent": "TwilioProxy/1.1",
            "Accept": "*/*",
            "Content-Type": "application/x-www-form-urlencoded; charset=UTF-8",
            "Content-Length": "480",
            "X-Forwarded-For": "203.0.113.7",
            "X-Forwarded-Proto": "https",
            "I-Twilio-Idempotency-Token": secrets.token_hex(16),
            **sign_request(URL, params=params, auth_token=token).headers,
        }
        taken = measure(candidates(params, headers, token, other), blocks)
        for candidate, each in taken.items():
            ratio = median(t / own for t, own in zip(taken[THEIRS], each, strict=True))
            shown = "" if candidate == THEIRS else f"{ratio:.1f}"
            rows.append([f"{name}: {candidate}", f"{median(each):.1f}", shown])
    table(("", "CPU µs", "times as fast"), rows)
    line(f"\n  Times as fast as {THEIRS}: the median of each round's own ratio.")
    line("  Aim: 4 with a form of 15 parameters.")


def voice_form() -> dict[str, str]:
    """Return the fifteen parameters of a call's webhook."""
    places = {"City": "SAN FRANCISCO", "State": "CA", "Zip": "94103", "Country": "US"}
    return {
        "CallSid": "CA" + secrets.token_hex(16),
        "AccountSid": "AC" + secrets.token_hex(16),
        "From": "+15005550006",
        "To": "+15005550010",
        "CallStatus": "in-progress",
        "ApiVersion": "2010-04-01",
        "Direction": "inbound",
        **{f"{side}{name}": value for side in ("From", "To") for name, value in places.items()},
    }


def candidates(
    params: Mapping[str, str] | None, headers: Mapping[str, str], token: str, other: str
) -> dict[str, Callable[[], Any]]:
    """Return what is compared: each checks the request once."""
    validator = RequestValidator(token)  # type: ignore[no-untyped-call]
    one = SigningSecrets((SecretStr(token),))
    two = SigningSecrets((SecretStr(token), SecretStr(other)))
    with_one, with_two = Verifier(lambda: one), Verifier(lambda: two)
    return {
        THEIRS: lambda: validator.validate(URL, params, headers["X-Twilio-Signature"]),  # type: ignore[no-untyped-call]
        "Verifier": lambda: with_one.verify(URL, params=params, headers=headers),
        "Verifier, two tokens": lambda: with_two.verify(URL, params=params, headers=headers),
    }


def measure(works: Mapping[str, Callable[[], Any]], rounds: int) -> dict[str, list[float]]:
    """Let each of *works* do a block in each round, turn about; return microseconds of CPU."""
    taken: dict[str, list[float]] = {name: [] for name in works}
    for work in works.values():
        if work() is not True:
            raise SystemExit("a request that is right was refused")
    for turn in range(rounds):
        for name in works if turn % 2 else reversed(list(works)):
            work, before = works[name], time.process_time()
            for _ in range(REQUESTS):
                work()
            taken[name].append(1e6 * (time.process_time() - before) / REQUESTS)
    return taken


if __name__ == "__main__":
    main()
