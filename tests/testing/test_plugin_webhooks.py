"""The pytest plugin and webhooks: signed requests, and settings that verify them."""

from __future__ import annotations

import os

import pytest

from support import OUR_PLUGIN, auth_token, key_secret
from webhook_names import KEY_ID, KEYS, SECONDARY, TOKEN, URL

pytest_plugins = ["pytester"]


@pytest.fixture
def clean(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """Return a session whose environment has a developer's settings, which tests must not use."""
    for name in [name for name in os.environ if name.startswith(("TWILIO_", "SAFETWILIO_"))]:
        monkeypatch.delenv(name)
    for name, value in {
        TOKEN: auth_token(),
        SECONDARY: auth_token(),
        KEYS: f"{KEY_ID}={key_secret(40)}",
        URL: "https://the.developers.own.example",
        "SAFETWILIO_WEBHOOK_BACKEND": "vault://the/developers/own",
        "TWILIO_WEBHOOK_SOMETHING": "else",
        **OUR_PLUGIN,
    }.items():
        monkeypatch.setenv(name, value)
    return pytester


def test_requests_are_signed_with_what_they_are_verified_with(clean: pytest.Pytester) -> None:
    clean.makepyfile(
        """
        import pytest
        from safetwilio import WebhookSettings
        from safetwilio.errors import WebhookError

        URL = "https://example.com/sms?a=1"

        def test_form_json_and_get(safetwilio_sign):
            verify = WebhookSettings().verifier().verify
            form = {"Body": "Hello", "From": "+15551230001"}
            signed = safetwilio_sign(URL, params=form)
            assert signed.url == URL
            assert verify(signed.url, params=form, headers=signed.headers)
            signed = safetwilio_sign(URL, body=b"{}")
            assert verify(signed.url, body=b"{}", headers=signed.headers)
            signed = safetwilio_sign(URL)
            assert verify(signed.url, headers=signed.headers)
            with pytest.raises(WebhookError):
                verify(URL + "&b=2", headers=signed.headers)
        """
    )
    clean.runpytest_subprocess().assert_outcomes(passed=1)


def test_what_the_developer_has_set_gets_out_of_the_way(clean: pytest.Pytester) -> None:
    clean.makepyfile(
        """
        import os
        from safetwilio import WebhookSettings

        def test_environment(safetwilio_emulator):
            token = safetwilio_emulator.account.auth_token
            left = {n: v for n, v in os.environ.items() if "WEBHOOK" in n}
            assert left == {
                "TWILIO_WEBHOOK_AUTH_TOKEN": token, "TWILIO_WEBHOOK_SOMETHING": "else"
            }
            settings = WebhookSettings()
            assert settings.auth_token.get_secret_value() == token
            assert (settings.public_url, settings.shared_keys) == (None, {})

        def test_it_is_given_back():
            assert os.environ["SAFETWILIO_WEBHOOK_BACKEND"] == "vault://the/developers/own"
            assert os.environ["TWILIO_WEBHOOK_PUBLIC_URL"].startswith("https://the.developers")
        """
    )
    clean.runpytest_subprocess("-p", "no:randomly").assert_outcomes(passed=2)


APPLICATION = """
    import pytest
    from safetwilio.errors import WebhookError
    from safetwilio.integrations.receiver import Receiver

    receiver = Receiver()
    receiver.load()  # as an application that is imported with the test module
    URL = "http://testserver/sms"
    old = []

    def verify(headers):
        environ = {"wsgi.url_scheme": "http", "HTTP_HOST": "testserver", "RAW_URI": "/sms"}
        environ |= {f"HTTP_{n.upper().replace('-', '_')}": v for n, v in headers.items()}
        return receiver.verify_wsgi(environ)

    @pytest.mark.parametrize("turn", [1, 2])
    def test_each_test_has_a_token_of_its_own(safetwilio_sign, turn):
        signed = safetwilio_sign(URL)
        assert verify(signed.headers)
        for headers in old:
            with pytest.raises(WebhookError):
                verify(headers)
        old.append(signed.headers)

    def test_without_a_fixture_none_of_these_counts():
        receiver.load()
        for headers in old:
            with pytest.raises(WebhookError):
                verify(headers)
"""


def test_receivers_forget_with_the_emulator(clean: pytest.Pytester) -> None:
    """Under the ini option, so that the module can be imported."""
    clean.makeini("[pytest]\nsafetwilio = emulator\n")
    clean.makepyfile(APPLICATION)
    clean.runpytest_subprocess("-p", "no:randomly").assert_outcomes(passed=3)


def test_it_signs_with_the_primary_token_of_the_moment(clean: pytest.Pytester) -> None:
    """A test can promote the other token, as a rotation does, and see what its application does."""
    clean.makepyfile(
        """
        import os
        import pytest
        from safetwilio import WebhookSettings
        from safetwilio.errors import WebhookError

        URL = "https://example.com/sms"

        def test_promotion(safetwilio_emulator, safetwilio_sign, monkeypatch):
            before = WebhookSettings().verifier()
            account = safetwilio_emulator.account
            account.auth_token = account.auth_token[::-1]
            signed = safetwilio_sign(URL)
            with pytest.raises(WebhookError):
                before.verify(signed.url, headers=signed.headers)
            monkeypatch.setenv("TWILIO_WEBHOOK_SECONDARY_AUTH_TOKEN", account.auth_token)
            both = WebhookSettings().verifier()
            assert both.verify(signed.url, headers=signed.headers)
        """
    )
    clean.runpytest_subprocess().assert_outcomes(passed=1)


def test_a_session_without_webhooks_imports_nothing_of_them(clean: pytest.Pytester) -> None:
    clean.makepyfile(
        """
        import sys

        def test_modules(safetwilio_emulator):
            assert "safetwilio.integrations.receiver" not in sys.modules
            assert "safetwilio.webhook_settings" not in sys.modules
        """
    )
    clean.runpytest_subprocess().assert_outcomes(passed=1)
