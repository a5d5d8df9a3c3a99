"""The cases that maskers of secrets are accepted by, as far as no other file here has them.

They are what the suites of GitHub's, GitLab's, Azure's, Buildkite's and Jenkins' maskers test. The
others stand in ``test_engine.py``, ``test_forms.py``, ``test_streams.py`` and ``test_registry.py``.
"""

from __future__ import annotations

import base64
import re
import reprlib
import textwrap
import threading
from typing import TYPE_CHECKING, NamedTuple, get_args
from xml.sax.saxutils import escape, quoteattr

import pytest

from safetwilio import redaction
from safetwilio.redaction import engine
from safetwilio.redaction.engine import FAILED, Kind
from safetwilio.redaction.streams import Redactor
from support import account_sid, auth_token, key_secret, key_sid

if TYPE_CHECKING:
    from collections.abc import Callable

MASK = re.compile(r"\[TWILIO:[a-z]+:[0-9A-Za-z]+\]")
T, S, K, A = auth_token(), key_secret(), key_sid(), account_sid()
M = "first line of it\nand the second \"line\"\n<third> & last 'one'"  # of several lines


@pytest.fixture(autouse=True)
def _registered() -> None:
    """Register one of each kind."""
    for value, kind in ((T, "token"), (S, "secret"), (K, "key"), (A, "account"), (M, "secret")):
        redaction.register(value, kind)  # type: ignore[arg-type]


def left(text: str) -> str:
    """Return *text* as it is shown, with a bar for each mask."""
    return MASK.sub("|", redaction.redact(text))


def fed(*pieces: str | bytes) -> bytes:
    redactor = Redactor()
    raw = [p.encode("utf-8", "surrogatepass") if isinstance(p, str) else p for p in pieces]
    return b"".join([*map(redactor.feed, raw), redactor.finish()])


class Case(NamedTuple):
    """What *proves* says of a *text*, which has to look like *shown*, with a bar for each mask."""

    proves: str
    text: str
    shown: str


CASES = (
    Case("of two that adjoin nothing is left between", f"{T}{S}{K}{A}", "||||"),
    Case("both of a pair", f"{A}:{T}", "|:|"),
    Case("at the start", f"{T} x", "| x"),
    Case("in the middle", f"x {T} x", "x | x"),
    Case("at the end", f"x {T}", "x |"),
    Case("with letters before it", f"prefix{S}", "prefix|"),
    Case("with letters behind it", f"{S}suffix", "|suffix"),
    Case("with letters on both sides", f"prefix{S}suffix", "prefix|suffix"),
    Case("between letters of two bytes", f"é{T}ß", "é|ß"),
    Case("between letters of three bytes", f"李{T}雷", "李|雷"),
    Case("between letters of four bytes", f"😀{T}😀", "😀|😀"),
    Case("between halves of surrogate pairs", f"\ud83d{T}\ude00", "\ud83d|\ude00"),
    Case("before CRLF", f"{T}\r\nx", "|\r\nx"),
    Case("before CR CR LF", f"{T}\r\r\nx", "|\r\r\nx"),
    Case("after CR CR LF", f"x\r\r\n{T}", "x\r\r\n|"),
    Case("one of several lines", f"x\n{M}\nx", "x\n|\nx"),
    Case("one of several lines, as Python shows it", f"x {M!r}", "x '|'"),
    Case("one of several lines, in an XML element", f"<a>{escape(M)}</a>", "<a>|</a>"),
    Case("in an XML attribute", f"<a b={quoteattr(T)}/>", '<a b="|"/>'),
    Case("after an escaped backslash", f"C:\\\\{T}\\\\x", "C:\\\\|\\\\x"),
    Case("after an escaped line break", f'"a\\n{T}"', '"a\\n|"'),
    Case("after an escaped letter", f'"\\u00e9{T}"', '"\\u00e9|"'),
    Case("after a percent escape", f"a%3A{T}%2F", "a%3A|%2F"),
    Case("after a colour", f"\x1b[31m{T}\x1b[0m", "\x1b[31m|\x1b[0m"),
    Case("in upper case, if of hex digits", T.upper(), "|"),
    Case("an Account SID in upper case", f"AC{A[2:].upper()}", "|"),
    Case("not one of letters in the other case", S.swapcase(), ""),
    Case("in hex", T.encode().hex(), "|"),
    Case("in upper-case hex", S.encode().hex().upper(), "|"),
    Case("cut short by reprlib", reprlib.repr(T), "'|...|'"),
    Case("the first 12 characters", f"{S[:12]}...", "|..."),
    Case("the last 12 characters", f"...{S[-12:]}", "...|"),
    Case("wrapped at 16", "\n".join(textwrap.wrap(S, 16)), "|\n|"),
    Case("a URL without userinfo stays", "https://api.twilio.com/2010-04-01/Accounts.json", ""),
    Case("the userinfo of a URL", f"https://{K}:{S}@api.twilio.com/x", "https://|:|@api.twilio.com/x"),
    Case("a password alone in a URL", f"https://:{S}@h/", "https://:|@h/"),
    Case("a URL that cannot be parsed", f"https://[::1:{K}:{S}@h:x/?", "https://[::1:|:|@h:x/?"),
    Case("the path and query of a URL", f"/Accounts/{A}.json?t={T}", "/Accounts/|.json?t=|"),
    Case("a trace id stays", f"trace_id={auth_token()}", ""),
    Case("a traceparent stays", f"traceparent: 00-{auth_token()}-{auth_token()[:16]}-01", ""),
    Case("an MD5 stays", f"md5={auth_token()}", ""),
    Case("another SID stays", f"SM{auth_token()} CA{auth_token()} MG{auth_token()}", ""),
    Case("nothing", "", ""),
)  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=[case.proves for case in CASES])
def test_case(case: Case) -> None:
    shown = case.shown or case.text
    assert left(case.text) == shown
    masked = redaction.redact(case.text)
    assert (masked is case.text) == (shown == case.text)
    assert redaction.redact(masked) == masked
    raw = case.text.encode("utf-8", "surrogatepass")
    assert redaction.redact_bytes(raw) == masked.encode("utf-8", "surrogatepass")
    for cut in range(len(raw) + 1):
        assert fed(raw[:cut], raw[cut:]) == redaction.redact_bytes(raw), cut
    assert fed(*(raw[at : at + 1] for at in range(len(raw)))) == redaction.redact_bytes(raw)


LINES_OF_M = [line for line in M.split("\n") if len(line) >= 12]


@pytest.mark.parametrize("between", ["\r\n", "\r\r\n", " ", "\n  | ", "\\n", "<br>"])
def test_lines_of_a_secret_are_hidden_whatever_stands_between_them(between: str) -> None:
    """A log viewer or another platform breaks lines in its own way."""
    masked = redaction.redact(between.join(M.split("\n")))
    assert not any(
        line[at : at + 12] in masked for line in LINES_OF_M for at in range(len(line) - 11)
    )


@pytest.mark.parametrize("value", ["aab" * 6, "ab" * 8 + "a", "a" * 16])
def test_one_that_overlaps_its_own_beginning_in_any_two_pieces(value: str) -> None:
    """A search that goes on behind a half match misses what begins within it: ``a`` + ``aab``."""
    redaction.register(value, "secret")
    for before in (value[:1], value[:2], value[:5], value[:-1]):
        raw = f"{before}{value}!".encode()
        whole = redaction.redact_bytes(raw)
        assert value.encode() not in whole
        for cut in range(len(raw) + 1):
            assert fed(raw[:cut], raw[cut:]) == whole


def test_all_values_are_hidden_in_any_two_pieces() -> None:
    raw = f"a {T}{S} {A}:{S}\r\n{K}\té{M}ü".encode()
    whole = redaction.redact_bytes(raw)
    assert MASK.sub("|", whole.decode()) == "a || |:|\r\n|\té|ü"
    assert [cut for cut in range(len(raw) + 1) if fed(raw[:cut], raw[cut:]) != whole] == []


def test_one_that_comes_and_one_that_goes_while_a_stream_is_open() -> None:
    new, old, redactor = key_secret(), key_secret(), Redactor()
    redaction.register(old, "secret")
    parts = [redactor.feed(f"{new} {old}!\n".encode())]
    redaction.register(new, "secret")
    redaction.retire(old)
    parts += [redactor.feed(f"{new} {old}!\n".encode()), redactor.finish()]
    shown = MASK.sub("|", b"".join(parts).decode())
    assert shown == f"{new} |!\n| {old}!\n"


@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
@pytest.mark.parametrize("kind", "TSKA")
def test_base64_of_every_kind_at_all_16_alignments(
    kind: str, encode: Callable[[bytes], bytes]
) -> None:
    """Nothing is left that could be decoded: a few characters on either side, of the neighbours."""
    value = {"T": T, "S": S, "K": K, "A": A}[kind]
    for before in range(4):
        for after in range(4):
            text = encode(b"\xff\xfe?>"[:before] + value.encode() + b">?\xfe\xff"[:after]).decode()
            rest = left(text)
            assert rest.count("|") == 1, text
            assert max(map(len, rest.split("|"))) <= 8


@pytest.mark.parametrize("width", [64, 76])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_mime_and_pem_at_every_place_of_the_line(width: int, end: str) -> None:
    for before in range(80):
        encoded = base64.b64encode(b"." * before + S.encode() + b"." * 40).decode()
        lines = end.join(textwrap.wrap(encoded, width))
        rest = left(lines)
        assert "|" in rest
        assert len(rest.replace(end, "")) <= len(encoded) - 41 + 1, before


def test_secrets_that_share_a_piece_are_hidden_in_hex_too() -> None:
    """A chain of windows is not broken where the next belongs to the other secret."""
    one = key_secret()
    two = key_secret(10) + one[:20] + key_secret(10)
    for value in (one, two):
        redaction.register(value, "secret")
    for value in (one, two):
        for at in range(len(value) - 11):
            assert left(value[at : at + 12].encode().hex()) == "|", at


def test_a_written_piece_that_says_12_characters_is_hidden_however_few_it_takes() -> None:
    """Not as many as an average piece of the value takes, which has its punctuation behind."""
    head = key_secret(12)
    redaction.register(head + "/?&=+ %\"'<>#", "secret")
    assert left(f"={head[1:]}%2F=") == "=|="
    assert left(f"={head[2:]}%2F%3F=") == "=|="
    assert left(f'"{head[3:]}/?&"') == '"|"'
    few = f"={head[-2:]}%2F%3F%26%3D="  # says six
    assert left(few) == few


def test_a_registered_value_with_an_equals_sign_does_not_hide_what_stands_before_one() -> None:
    """Since then ``auth_token=`` and what follows are one run of letters."""
    redaction.register("pass=word: of=some:kind", "secret")
    token, account = auth_token(), account_sid()
    assert left(f"auth_token={token} ") == "auth_token=| "
    assert left(f"twilio_token:{token}") == "twilio_token:|"
    assert left(f"x={account}:{token}=") == "x=|:|="


@pytest.mark.parametrize("glued", range(8))
def test_basic_credentials_of_any_length_can_be_read(glued: int) -> None:
    """One character over four is no base64: it must not fail the text, nor a stream cut there."""
    account, token = account_sid(), auth_token()
    pair = base64.b64encode(f"{account}:{token}".encode()).decode().rstrip("=")
    raw = f"Authorization: Basic {pair}{'x' * glued} and more"
    masked = redaction.redact(raw)
    assert FAILED not in masked
    assert left(raw) == "Authorization: Basic || and more"
    for cut in range(len(raw) + 1):
        assert fed(raw[:cut], raw[cut:]).decode() == masked, cut


def test_threads_add_values_while_others_write_to_streams() -> None:
    stop, wrong = threading.Event(), list[bytes]()

    def write() -> None:
        while not stop.is_set():
            out = fed(f"a {T[:9]}", f"{T[9:]} b {S[:20]}", f"{S[20:]} c")
            if T.encode() in out or S.encode() in out or FAILED.encode() in out:
                wrong.append(out)

    writers = [threading.Thread(target=write) for _ in range(2)]
    for thread in writers:
        thread.start()
    for _ in range(60):
        value = key_secret()
        redaction.register(value, "secret")
        assert left(value) == "|"
        redaction.retire(value)
    stop.set()
    for thread in writers:
        thread.join()
    assert wrong == []


@pytest.mark.parametrize("kind", get_args(Kind))
def test_no_mask_holds_a_piece_of_a_secret_of_letters_and_digits(kind: Kind) -> None:
    """So none is taken for a secret, or makes one with what stands beside it."""
    shown = engine.mask(kind, redaction.fingerprint(T)).decode()
    assert max(map(len, re.split("[^0-9A-Za-z]", shown))) < 12
    assert max(map(len, re.split("[^0-9A-Za-z]", FAILED))) < 12
    assert (shown[0], shown[-1]) == ("[", "]")
