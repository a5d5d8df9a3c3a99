"""Plain HTTP goes to this machine by its number, and nowhere else; no address shows a login."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from safetwilio.backends.addresses import is_safe, origin
from support import auth_token, leaks


@pytest.mark.parametrize(
    "url",
    [
        "https://secretsmanager.eu-west-1.amazonaws.com",
        "https://localhost:8200/path",
        "HTTPS://Example.com",
        "http://127.0.0.1",
        "http://127.0.0.1:4566/",
        "http://[::1]:8200",
    ],
)
def test_safe(url: str) -> None:
    assert is_safe(url)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "127.0.0.1:4566",
        "http:",
        "https://",
        "http://localhost",  # what that means is decided elsewhere
        "http://0.0.0.0",
        "http://169.254.169.254",
        "http://10.0.0.1",
        "http://127.0.0.1.example.com",
        "http://127.0.0.1@example.com",
        "http://example.com#@127.0.0.1",
        "http://example.com?@127.0.0.1",
        "http://127.0.0.1\\@example.com",
        "http://127.0.0.1\n.example.com",
        "http://2130706433",
        "http://0x7f.1",
        "http://[::1",
        "http://[::ffff:10.0.0.1]",
        "http://127.0.0.1:x",
        "http://127.0.0.1:99999",
        "https://user:password@example.com",
        "ftp://127.0.0.1",
        "unix:///var/run/vault.sock",
    ],
)
def test_not_safe(url: str) -> None:
    assert not is_safe(url)


@given(
    st.text(max_size=30)
    | st.builds("http://{}".format, st.text(alphabet="127.0:@[]/\\#?%localhst\t", max_size=30))
)
@example("http://127.0.0.1:80@example.com")
def test_what_is_safe_over_http_is_a_number_of_this_machine(url: str) -> None:
    if is_safe(url) and urlsplit(url).scheme == "http":
        assert str(urlsplit(url).hostname).startswith(("127.", "::1", "0:", "0000:"))


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://example.com:8200/path?token=x#y", "https://example.com:8200"),
        ("http://user:password@[::1]:80/", "http://[::1]:80"),
        ("nowhere", "its endpoint"),
        ("http://[::1", "its endpoint"),
        ("", "its endpoint"),
    ],
)
def test_only_the_origin_is_shown(url: str, shown: str) -> None:
    assert origin(url) == shown


@given(st.sampled_from(["http://u:{}@h", "http://h/{}", "https://h?{}", "h#{}", "//{}@h", "x:{}"]))
def test_the_rest_is_never_shown(form: str) -> None:
    secret = auth_token()
    assert leaks(origin(form.format(secret)), [secret]) == []
