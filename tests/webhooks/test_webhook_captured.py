"""A capture is a request, or an error that quotes nothing of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safetwilio.errors import UsageError
from safetwilio.webhooks.captured import LARGEST, captured
from support import auth_token, caught

NAMES = st.from_regex(r"[A-Za-z][A-Za-z0-9-]{0,20}", fullmatch=True)
TEXTS = st.from_regex(r"[!-~]([ -~]{0,30}[!-~])?", fullmatch=True)


@given(
    target=st.from_regex(r"/[!-~]{0,30}", fullmatch=True),
    headers=st.lists(st.tuples(NAMES, TEXTS), max_size=5),
    body=st.binary(max_size=200),
    newline=st.sampled_from(["\n", "\r\n"]),
)
def test_what_was_sent_comes_back(
    target: str, headers: list[tuple[str, str]], body: bytes, newline: str
) -> None:
    lines = [f"POST {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers), "", ""]
    found = captured(newline.join(lines).encode() + body)
    assert found == ("POST", target, tuple(headers), body)


@given(st.binary(max_size=300))
def test_any_bytes_are_a_request_or_st911(data: bytes) -> None:
    error = caught(lambda: captured(data))
    assert error is None or (isinstance(error, UsageError) and error.code == "ST911")


@pytest.mark.parametrize("head", ["", "nonsense ", "GET", "GET \n", "POST / HTTP/1.1\nno colon "])
def test_what_is_none_is_not_quoted(head: str) -> None:
    token = auth_token()
    error = caught(lambda: captured(f"{head}{token}\n\n{token}".encode()))
    if head != "GET \n":
        assert isinstance(error, UsageError)
        assert token not in str(error)


def test_too_much_is_refused() -> None:
    error = caught(lambda: captured(b"POST / HTTP/1.1\r\n\r\n" + b"x" * LARGEST))
    assert isinstance(error, UsageError)
    assert error.code == "ST911"


def test_a_form_has_all_its_parameters() -> None:
    text = "POST / HTTP/1.1\nContent-Type: application/x-www-form-urlencoded; charset=UTF-8\n\n"
    found = captured(f"{text}a=1&b=&a=2%2B\n".encode())
    assert found.params == [("a", "1"), ("b", ""), ("a", "2+")]
    assert captured(b"GET / HTTP/1.1\n\n").params is None


def test_the_line_end_of_an_editor_is_no_part_of_the_body() -> None:
    head = b"POST / HTTP/1.1\nContent-Length: 2\n\n"
    assert captured(head + b"{}\n").body == b"{}"
    assert captured(head + b"{}{}").body == b"{}{}", "more than that is looked at as it is"


@pytest.mark.parametrize(
    ("headers", "said"),
    [("Content-Length: 5", "3 are missing"), ("Transfer-Encoding: chunked", "chunked")],
)
def test_a_body_that_is_not_whole(headers: str, said: str) -> None:
    error = caught(lambda: captured(f"POST / HTTP/1.1\n{headers}\n\n{{}}".encode()))
    assert isinstance(error, UsageError)
    assert error.code == "ST911"
    assert said in str(error)
