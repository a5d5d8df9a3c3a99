"""Logs as programs write them, without any Twilio secret: one certain text of over five megabytes.

It is made of a hash that counts, so it is the same on every Python; the test pins its SHA-256.
What looks most like a secret is in it in many ways: digests, identifiers, base64 and hexdumps, and
the SIDs that are none. ``python corpus.py`` prints it.
"""

from __future__ import annotations

import base64
import hashlib
import json
import sys
import uuid
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import quote, urlencode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

T = TypeVar("T")
SEED = b"safetwilio's corpus, 1"
SIZE = 5_500_000
BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)
ALNUM = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
PODS = "bcdfghjklmnpqrstvwxz2456789"  # what Kubernetes names pods with
OTHER_SIDS = ("SM", "MM", "CA", "MG", "PN", "CF", "RE", "VA", "IS", "CH", "AP", "FW", "BU", "TR")
SERVICES = ("checkout", "notifications", "voice-gateway", "skills", "accounts", "sk-search", "api")
PATHS = ("/opt/app/src", "/usr/lib/python3.11/site-packages/django/core/handlers", "/srv/SKUs/ACL")
PEOPLE = ("ada", "zoë", "李雷", "o'neil", "søren")


class Source:
    """Bytes that look random and never change, and what is made of them."""

    def __init__(self, seed: bytes = SEED) -> None:  # noqa: D107
        self._seed, self._count, self._left = seed, 0, b""
        self.now = BEGINNING

    def take(self, length: int) -> bytes:
        """Return the next *length* bytes."""
        while len(self._left) < length:
            self._count += 1
            self._left += hashlib.shake_256(b"%b %d" % (self._seed, self._count)).digest(1 << 16)
        taken, self._left = self._left[:length], self._left[length:]
        return taken

    def below(self, limit: int) -> int:
        """Return a number from 0 on, below *limit*."""
        return int.from_bytes(self.take(4)) % limit

    def one(self, choices: Sequence[T]) -> T:
        """Return one of *choices*."""
        return choices[self.below(len(choices))]

    def text(self, alphabet: str, length: int) -> str:
        """Return *length* characters of *alphabet*."""
        return "".join(alphabet[byte % len(alphabet)] for byte in self.take(length))

    def hex(self, digits: int) -> str:
        """Return so many hex *digits*, an even number."""
        return self.take(digits // 2).hex()

    def base64(self, length: int) -> str:
        """Return the base64 of *length* bytes."""
        return base64.b64encode(self.take(length)).decode()

    def uuid(self) -> uuid.UUID:
        """Return a random UUID."""
        return uuid.UUID(bytes=self.take(16), version=4)

    def time(self) -> str:
        """Return a time a little after the last."""
        self.now += timedelta(milliseconds=self.below(900))
        return self.now.isoformat(timespec="milliseconds")

    def sid(self) -> str:
        """Return a SID that is no secret."""
        return self.one(OTHER_SIDS) + self.hex(32)

    def pod(self) -> str:
        """Return the name of a pod."""
        return f"{self.one(SERVICES)}-{self.text(PODS, 10)}-{self.text(PODS, 5)}"

    def ip(self) -> str:
        """Return an address."""
        return ".".join(str(byte) for byte in self.take(4))


def uuids(s: Source) -> str:
    return (
        f"{s.time()} INFO request={s.uuid()} session={s.uuid().hex} parent={str(s.uuid()).upper()}"
    )


def digests(s: Source) -> str:
    name = f"{s.one(SERVICES)}-{s.below(30)}.{s.below(99)}.tar.gz"
    return (
        f'{s.hex(32)}  {name}\nsha256:{s.hex(64)} etag="{s.hex(32)}-{s.below(40)}" '
        f"sha1={s.hex(40)} sha512={s.hex(128)} crc={s.hex(8)}"
    )


def git(s: Source) -> str:
    return (
        f"commit {s.hex(40)}\nMerge: {s.hex(10)} {s.hex(12)}\n"
        f"index {s.hex(40)}..{s.hex(40)} 100644\n"
        f"    Accept SKUs in ACLs (#{s.below(9000)})"
    )


def traces(s: Source) -> str:
    trace, span = s.hex(32), s.hex(16)
    return (
        f"traceparent=00-{trace}-{span}-01 X-B3-TraceId: {trace} X-B3-SpanId: {span} "
        f"X-Amzn-Trace-Id: Root=1-{s.hex(8)}-{s.hex(24)} dd.trace_id={s.below(2**31)}"
    )


def twilio(s: Source) -> str:
    sid = s.sid()
    return (
        f"{s.time()} INFO twilio.http_client: POST /v1/Services/{s.sid()}/Messages/{sid}.json "
        f"status=201 To=+1415555{s.below(10**4):04d} MessagingServiceSid=MG{s.hex(32)} "
        f"TwilioRequestId=RQ{s.hex(32)}"
    )


def images(s: Source) -> str:
    if s.below(2):
        return f'<img src="data:image/png;base64,iVBORw0KGgo{s.base64(400 + s.below(900))}">'
    encoded = base64.encodebytes(s.take(300 + s.below(500))).decode().rstrip()
    return f"Content-Transfer-Encoding: base64\n\n{encoded}\n--{s.hex(32)}--"


def hexdumps(s: Source) -> str:
    rows = [s.take(16) for _ in range(6)]
    spaced = (f"{at * 16:08x}  {row.hex(' ')}  |{row.hex()}|" for at, row in enumerate(rows))
    pairs = (f"{at * 16:04x}: {row.hex(' ', 2)}" for at, row in enumerate(rows))
    return "\n".join((*spaced, *pairs, f"0x{s.hex(64)} {s.take(20).hex(':').upper()}"))


def stacks(s: Source) -> str:
    path, digest = s.one(PATHS), s.hex(32)
    return (
        "Traceback (most recent call last):\n"
        f'  File "{path}/authentication_backends.py", line {s.below(900)}, in get_access_token\n'
        f"    raise KeyError({digest!r})\nKeyError: {digest!r}\n"
        f"\tat com.example.sk.Accounts$$EnhancerBySpringCGLIB$${s.hex(8)}.find(Accounts.java)\n"
        f"    at Object.<anonymous> (/srv/app/dist/main.{s.hex(20)}.chunk.js:{s.below(9)}:21)\n"
        f"0x{s.hex(16)} in std::sys::backtrace::__rust_begin_short_backtrace::h{s.hex(16)}"
    )


def access(s: Source) -> str:
    return json.dumps(
        {
            "ts": s.time(),
            "ip": s.ip(),
            "user": s.one(PEOPLE),
            "request": f"GET /orders/{s.uuid()}?etag={s.hex(32)} HTTP/2",
            "request_id": s.hex(32),
            "cookie": f"csrftoken={s.text(ALNUM, 32)}; sessionid={s.text(ALNUM.lower(), 32)}",
            "secret_version": s.hex(32),
            "token_id": str(s.uuid()),
            "bytes": s.below(10**6),
        },
        ensure_ascii=bool(s.below(2)),
    )


def jwts(s: Source) -> str:
    def part(value: dict[str, object]) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    header = part({"alg": "RS256", "typ": "JWT", "cty": "JWT", "kid": s.hex(40)})
    claims = part({"iss": "https://id.example", "sub": str(s.uuid()), "exp": 1_767_225_600})
    signature = base64.urlsafe_b64encode(s.take(256)).decode().rstrip("=")
    other = base64.b64encode(f"{s.one(SERVICES)}:{s.hex(32)}".encode()).decode()
    return (
        f"Authorization: Bearer {header}.{claims}.{signature}\nProxy-Authorization: Basic {other}"
    )


def sql(s: Source) -> str:
    return (
        f"INSERT INTO tokens (id, digest, account) VALUES ('{s.uuid()}', '\\x{s.hex(64)}', "  # noqa: S608
        f"'{s.hex(32)}') ON CONFLICT DO NOTHING; -- {s.below(900)} ms\n"
        f"DELETE FROM messages WHERE sid = '{s.sid()}' AND md5(body) = '{s.hex(32)}'"
    )


def urls(s: Source) -> str:
    query = urlencode({"X-Amz-Signature": s.hex(64), "next": f"/a/{s.hex(32)}?b=ü", "s": s.sid()})
    return (
        f"https://cdn.example.com/assets/app.{s.hex(20)}.js https://{s.hex(32)}@sentry.example/42 "
        f"https://s3.example/{quote(s.base64(24), safe='')}?{query}#{s.text(ALNUM, 43)}"
    )


def kubernetes(s: Source) -> str:
    digest = f"registry.example/{s.one(SERVICES)}@sha256:{s.hex(64)}"
    return (
        f"{s.time()} Normal Pulled pod/{s.pod()} Container image {digest} already present\n"
        f"/var/lib/kubelet/pods/{s.uuid()}/volumes/kubernetes.io~projected/kube-api-access-"
        f"{s.text(PODS, 5)} node={s.pod()} cri-o://{s.hex(64)} i-{s.hex(17 + 1)[:17]}"
    )


KINDS: tuple[Callable[[Source], str], ...] = (
    *(uuids, digests, git, traces, twilio, images, hexdumps),
    *(stacks, access, jwts, sql, urls, kubernetes),
)


def lines(size: int = SIZE) -> Iterator[str]:
    """Yield entries of all kinds in turn, of one line or more, until there are *size* bytes."""
    source, done, at = Source(), 0, 0
    while done < size:
        entry = KINDS[at % len(KINDS)](source)
        at += 1
        done += len(entry.encode()) + 1
        yield entry


def make() -> str:
    """Return the corpus."""
    return "\n".join(lines()) + "\n"


if __name__ == "__main__":
    sys.stdout.write(make())
