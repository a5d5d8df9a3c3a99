"""The table of broken configurations: what each is, in words and as environment and files.

Credentials are made at run time; the words must do without them, and so must the report.
"""

from __future__ import annotations

from situations import (
    ACCOUNT,
    APP,
    APP_WITH_A_FIELD,
    BACKEND,
    BOOT,
    FAILING_PLUGIN,
    KEY,
    PLUGIN,
    SECRET,
    TOKEN,
    Configuration,
    Situation,
    changed,
    dotenv,
    env,
    fresh,
    secrets_directory,
)

from support import Key, account_sid, auth_token, key_secret, key_sid, new_key

MISSING = (
    Configuration(
        "nothing-set",
        "No variable is set and there is no `.env` file.",
        ("ST104", "ST103"),
        lambda _: Situation({}),
    ),
    Configuration(
        "only-the-account-sid",
        "`TWILIO_ACCOUNT_SID` is set, the API key is not.",
        ("ST104",),
        env(TWILIO_API_KEY=None, TWILIO_API_SECRET=None),
    ),
    Configuration(
        "secret-missing",
        "The account SID and the API key SID are set, `TWILIO_API_SECRET` is not.",
        ("ST101",),
        env(TWILIO_API_SECRET=None),
    ),
    Configuration(
        "key-sid-missing",
        "The account SID and the secret are set, `TWILIO_API_KEY` is not.",
        ("ST102",),
        env(TWILIO_API_KEY=None),
    ),
    Configuration(
        "account-sid-missing",
        "The API key is complete, `TWILIO_ACCOUNT_SID` is not set.",
        ("ST103",),
        env(TWILIO_ACCOUNT_SID=None),
    ),
    Configuration(
        "secret-empty",
        "`TWILIO_API_SECRET` is set to nothing, as a compose file does with an unset variable.",
        ("ST105",),
        env(TWILIO_API_SECRET=""),
    ),
    Configuration(
        "dotenv-refers-to-an-unset-variable",
        "The secret in `.env` is `${DEPLOY_SECRET}`, and there is no such variable.",
        ("ST105",),
        lambda key: Situation({}, {".env": key._replace(secret="${DEPLOY_SECRET}").dotenv()}),
    ),
    Configuration(
        "dotenv-in-another-directory",
        "The key is in the `.env` of the parent directory of the one the program runs in.",
        ("ST104", "ST103"),
        lambda key: Situation({}, {"../.env": key.dotenv()}),
    ),
    Configuration(
        "dotenv-in-production",
        "The key is in `.env`, and `SAFETWILIO_ENV` is `production`.",
        ("ST104", "ST103"),
        lambda key: Situation({"SAFETWILIO_ENV": "production"}, {".env": key.dotenv()}),
    ),
    Configuration(
        "backend-leaves-the-environment-out",
        "The key is in the environment, but `SAFETWILIO_BACKEND` names only an empty directory.",
        ("ST104",),
        lambda key: Situation(
            {**key.environment(), BACKEND: "files:secrets"}, {"secrets/readme": "nothing here"}
        ),
    ),
    Configuration(
        "named-account-missing",
        "The default account is configured; the program asks for the account `marketing`.",
        ("ST104", "ST103"),
        env(),
        program="import safetwilio; safetwilio.get_client('marketing')",
    ),
    Configuration(
        "own-setting-missing",
        "The key is complete; a subclass of `TwilioSettings` has a field of its own that is not.",
        ("ST106",),
        lambda key: Situation(key.environment(), {"app.py": APP_WITH_A_FIELD}),
        program=APP,
    ),
)

SWAPPED = (
    Configuration(
        "account-sid-in-the-key-sids-place",
        "`TWILIO_API_KEY` holds the account SID.",
        ("ST203",),
        fresh(KEY, account_sid),
    ),
    Configuration(
        "key-sid-in-the-account-sids-place",
        "`TWILIO_ACCOUNT_SID` holds the API key SID.",
        ("ST202",),
        fresh(ACCOUNT, key_sid),
    ),
    Configuration(
        "auth-token-in-the-secrets-place",
        "`TWILIO_API_SECRET` holds the account's master Auth Token.",
        ("ST206",),
        fresh(SECRET, auth_token),
    ),
    Configuration(
        "sid-in-the-secrets-place",
        "`TWILIO_API_SECRET` holds the API key SID once more.",
        ("ST207",),
        fresh(SECRET, key_sid),
    ),
    Configuration(
        "key-sid-and-secret-swapped",
        "`TWILIO_API_KEY` holds the secret, `TWILIO_API_SECRET` the SID.",
        ("ST204", "ST207"),
        lambda key: changed({KEY: key.secret, SECRET: key.sid}, key),
    ),
)

MALFORMED = (
    Configuration(
        "account-sid-cut-short",
        "The last characters of the account SID were not copied.",
        ("ST201",),
        lambda key: changed({ACCOUNT: key.account[:-3]}, key),
    ),
    Configuration(
        "key-sid-in-lower-case",
        "A tool has turned the whole API key SID into lower case.",
        ("ST204",),
        lambda key: changed({KEY: key.sid.lower()}, key),
    ),
    Configuration(
        "secret-cut-short",
        "Only the first half of the secret was copied.",
        ("ST205",),
        lambda key: changed({SECRET: key.secret[:16]}, key),
    ),
    Configuration(
        "secret-with-an-invisible-character",
        "The secret was copied from a web page together with a zero-width space.",
        ("ST205",),
        lambda key: changed({SECRET: f"{key.secret}\u200b"}, key),
    ),
    Configuration(
        "secret-in-quotes",
        "A file for `docker run --env-file` has quotation marks around the secret.",
        ("ST209",),
        lambda key: changed({SECRET: f'"{key.secret}"'}, key),
    ),
    Configuration(
        "template-not-filled-in",
        "`.env` was copied from a template, and the secret's line still says `your_api_secret`.",
        ("ST208",),
        lambda key: Situation({}, {".env": key._replace(secret="your_api_secret").dotenv()}),
    ),
    Configuration(
        "example-from-the-documentation",
        "All three values are examples out of documentation: the same digit over and over.",
        ("ST208", "ST208", "ST208"),
        lambda _: Situation(Key(f"AC{'X' * 32}", f"SK{'X' * 32}", "X" * 32).environment()),
    ),
    Configuration(
        "ciphertext",
        "The `.env` file is encrypted with dotenvx, and the program was not started through it.",
        ("ST212",),
        lambda _: Situation(
            {}, {".env": new_key()._replace(secret=f"encrypted:{key_secret(64)}").dotenv()}
        ),
    ),
    Configuration(
        "region-malformed",
        "`TWILIO_REGION` holds a host name.",
        ("ST213",),
        env(TWILIO_REGION="https://api.ie1.twilio.com"),
    ),
    Configuration(
        "alias-contradicts",
        "`TWILIO_API_SECRET` and its alias `TWILIO_API_KEY_SECRET` hold different secrets.",
        ("ST211",),
        fresh("TWILIO_API_KEY_SECRET", key_secret),
    ),
    Configuration(
        "accounts-contradict",
        "The key in `.env` comes with its account SID; the environment names another account.",
        ("ST217",),
        lambda key: Situation({ACCOUNT: account_sid()}, {".env": key.dotenv()}),
    ),
    Configuration(
        "own-setting-invalid",
        "The key is complete; a subclass of `TwilioSettings` has a number that is none.",
        ("ST219",),
        lambda key: Situation(
            {**key.environment(), "SENDER_NUMBER": "+15550100", "RETRIES": "many"},
            {"app.py": APP_WITH_A_FIELD},
        ),
        program=APP,
    ),
)

EMULATOR = (
    Configuration(
        "emulator-credentials-without-the-emulator",
        "The credentials were made by the emulator, but `SAFETWILIO_EMULATOR` is not set.",
        ("ST214",),
        lambda key: Situation(
            key._replace(
                account="AC5afe0000" + account_sid()[10:], sid="SK5afe0000" + key_sid()[10:]
            ).environment()
        ),
    ),
    Configuration(
        "live-credentials-with-the-emulator",
        "`SAFETWILIO_EMULATOR` is still set from a test, and the credentials are real ones.",
        ("ST215",),
        env(SAFETWILIO_EMULATOR="http://127.0.0.1:8910"),
    ),
    Configuration(
        "emulator-not-on-this-machine",
        "`SAFETWILIO_EMULATOR` names a host instead of a loopback address.",
        ("ST216",),
        env(SAFETWILIO_EMULATOR="http://emulator.internal:8910"),
    ),
)

PLACES = (
    Configuration(
        "backend-unknown",
        "`SAFETWILIO_BACKEND` has a typing error in the name of the backend.",
        ("ST301",),
        env(SAFETWILIO_BACKEND="dotnev:.env"),
    ),
    Configuration(
        "backend-reference-unreadable",
        "`SAFETWILIO_BACKEND` holds a path where a reference belongs.",
        ("ST302",),
        env(SAFETWILIO_BACKEND="/run/secrets"),
    ),
    Configuration(
        "files-backend-without-a-directory",
        "`SAFETWILIO_BACKEND` is `files`, without the directory.",
        ("ST302",),
        env(SAFETWILIO_BACKEND="files"),
    ),
    Configuration(
        "plug-in-broken",
        "`SAFETWILIO_BACKEND` names a plug-in whose own dependency is not installed.",
        ("ST310",),
        lambda key: Situation(
            {**key.environment(), BACKEND: "corpvault:twilio", "PYTHONPATH": "plugins"}, PLUGIN
        ),
    ),
    Configuration(
        "plug-in-fails",
        "`SAFETWILIO_BACKEND` names a plug-in that raises an error of its own.",
        ("ST311",),
        lambda key: Situation(
            {**key.environment(), BACKEND: "corpvault:twilio", "PYTHONPATH": "plugins"},
            FAILING_PLUGIN,
        ),
    ),
    Configuration(
        "secret-file-missing",
        "`TWILIO_API_SECRET_FILE` and `TWILIO_API_KEY_FILE` name files that are not mounted.",
        ("ST305", "ST305"),
        lambda key: Situation(
            {
                ACCOUNT: key.account,
                "TWILIO_API_KEY_FILE": "secrets/api_key",
                "TWILIO_API_SECRET_FILE": "secrets/api_secret",
            }
        ),
    ),
    Configuration(
        "secret-file-is-a-directory",
        "Docker has made a directory where the file of `TWILIO_API_SECRET_FILE` should be mounted.",
        ("ST308",),
        lambda key: Situation(
            {
                ACCOUNT: key.account,
                KEY: key.sid,
                "TWILIO_API_SECRET_FILE": "secrets/api_secret",
            },
            {"secrets/api_secret": None},
        ),
    ),
    Configuration(
        "secret-file-unreadable",
        "A file in the directory of secrets is a symbolic link that leads to itself.",
        ("ST303",),
        lambda key: Situation(
            {BACKEND: "files:secrets"},
            {**secrets_directory(key), "secrets/twilio_api_secret": "-> twilio_api_secret"},
        ),
    ),
    Configuration(
        "half-a-pair-in-the-secrets-directory",
        "The directory of secrets holds the account SID and the API key SID, but no secret.",
        ("ST101",),
        lambda key: Situation(
            {BACKEND: "files:secrets"},
            {k: v for k, v in secrets_directory(key).items() if "api_secret" not in k},
        ),
    ),
    Configuration(
        "dotenv-syntax-error",
        "In the third line of `.env` there is a colon in place of the equals sign.",
        ("ST304",),
        dotenv(lambda text: text.replace(f"{SECRET}=", f"{SECRET}: ")),
    ),
    Configuration(
        "dotenv-in-utf-16",
        "`.env` was written by Windows PowerShell's `>`.",
        ("ST308",),
        dotenv(lambda text: text.encode("utf-16")),
    ),
    Configuration(
        "dotenv-readable-by-others",
        "The program starts, but every user of the machine may read `.env`.",
        ("ST306",),
        dotenv(lambda text: text, mode=0o644),
        starts=True,
    ),
)

POLICY = (
    Configuration(
        "auth-token-alone",
        "`TWILIO_ACCOUNT_SID` and `TWILIO_AUTH_TOKEN` are set, as Twilio's own quickstart says.",
        ("ST501",),
        lambda key: Situation({ACCOUNT: key.account, TOKEN: auth_token()}),
    ),
    Configuration(
        "auth-token-alone-in-dotenv",
        "The same, in `.env`.",
        ("ST501",),
        lambda key: Situation({}, {".env": f"{ACCOUNT}={key.account}\n{TOKEN}={auth_token()}\n"}),
    ),
    Configuration(
        "auth-token-with-half-a-pair",
        "The Auth Token is set, and of the API key only the SID.",
        ("ST101", "ST501"),
        lambda key: Situation({ACCOUNT: key.account, KEY: key.sid, TOKEN: auth_token()}),
    ),
    Configuration(
        "auth-token-beside-a-key",
        "The program starts with its API key, but `TWILIO_AUTH_TOKEN` is still set.",
        ("ST502",),
        fresh(TOKEN, auth_token),
        starts=True,
    ),
    Configuration(
        "used-in-an-image-build",
        "`SAFETWILIO_BOOT` is `off`, and the program uses the client nevertheless.",
        ("ST904",),
        lambda _: Situation({"SAFETWILIO_BOOT": "off"}),
        program=f"{BOOT}; client.messages",
    ),
    Configuration(
        "several-problems",
        "A region with a typing error, the Auth Token for a secret, and a truncated account SID.",
        ("ST201", "ST213", "ST206"),
        lambda key: Situation(
            {
                ACCOUNT: key.account[:30],
                KEY: key.sid,
                SECRET: auth_token(),
                "TWILIO_REGION": "IE1",
            }
        ),
    ),
)

CONFIGURATIONS = (*MISSING, *SWAPPED, *MALFORMED, *EMULATOR, *PLACES, *POLICY)
