"""Run a program against moto's AWS in every kind of trouble, and write what it says.

::

    python tests/backends/aws_reports.py

The reports go into docs/backends/aws.md, below the line that names this file.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import ClassVar

import reports
from aws_server import (
    NAME,
    READ,
    REFERENCE,
    AwsServer,
    Login,
    black_hole,
    camel,
    refused_port,
    some_login,
)

from support import auth_token, new_key

_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy")


class _Writer(reports.Writer):
    shown: ClassVar = {
        r"http://127\.0\.0\.1:\d+": "https://secretsmanager.eu-west-1.amazonaws.com",
    }

    def __init__(self, aws: AwsServer, folder: Path) -> None:
        super().__init__(folder)
        self.aws = aws
        self.key = new_key()
        self.token = auth_token()
        self.secrets += [*self.key, self.token]

    def run(self, name: str, words: str, options: str = "", **environment: str) -> None:
        variables = {
            **dict.fromkeys(_PROXIES, ""),
            **self.aws.environment,
            "HOME": str(self.folder),
            **environment,
        }
        login = variables["AWS_SECRET_ACCESS_KEY"]
        self.start(name, words, REFERENCE + options, variables, login)

    def put(self, contents: dict[str, object] | str) -> None:
        """Make the secret anew."""
        self.aws.reset()
        self.aws.put(contents)


def all_reports() -> tuple[reports.Report, ...]:
    """Return every report, made with credentials of the moment."""
    with tempfile.TemporaryDirectory() as name, AwsServer() as aws:
        writer = _Writer(aws, Path(name))
        _of_logins(writer, aws)
        _of_contents(writer, aws)
        _of_the_way(writer)
        return tuple(writer.reports)


def _of_logins(writer: _Writer, aws: AwsServer) -> None:
    writer.put(camel(writer.key))
    other = aws.user("secretsmanager:ListSecrets")
    role = aws.role(READ, name="twilio-reader")
    reader = aws.user(READ, name="reader")
    aws.require_permission()
    writer.run(
        "Denied", "The login is good, its policies are about something else.", **other.environment
    )
    writer.run(
        "Denied the role",
        "`role=` names a role that the login may not take.",
        f"?role={role}",
        **other.environment,
    )
    unknown = Login("", reader.id, some_login().secret)
    writer.run(
        "Wrong login", "The secret access key is not the access key's.", **unknown.environment
    )
    aws.say("ExpiredTokenException", "The security token included in the request is expired")
    writer.run("Expired login", "The session token has ended.", **reader.environment)
    writer.run(
        "No login",
        "There are no credentials in the environment, in a profile, or from an instance.",
        AWS_ACCESS_KEY_ID="",
        AWS_SECRET_ACCESS_KEY="",
    )
    aws.say("AccessDeniedException", "Access to KMS is not allowed")
    writer.run(
        "Denied the KMS key", "The secret is encrypted with another key.", **reader.environment
    )


def _of_contents(writer: _Writer, aws: AwsServer) -> None:
    key = writer.key
    aws.reset()
    writer.run("Missing", "There is no such secret.")
    writer.put({"accountSid": key.account, "apiKeySid": key.sid})
    writer.run("Half a pair", "The secret has the key's SID, but not its secret.")
    writer.put(key.secret)
    writer.run("Malformed", "The secret is one bare text.")
    writer.put(camel(key))
    writer.run("No such version", "The secret is there, that stage is not.", "?stage=AWSPENDING")
    aws.call("delete_secret", SecretId=NAME)
    writer.run("Marked for deletion", "Somebody deleted it; AWS keeps it for some days.")
    writer.put(camel(key))
    aws.say("DecryptionFailure", "Secrets Manager can't decrypt the protected secret text")
    writer.run("Not decrypted", "The KMS key is disabled.")
    main = {"accountSid": key.account, "adminKeySid": key.sid, "adminKeySecret": key.secret}
    writer.put({**main})
    writer.run("A managed Main key", "A secret of AWS's type TwilioMainApiKey.")
    writer.put({"accountSid": key.account, "authToken": writer.token})
    writer.run("A managed Auth Token", "A secret of AWS's type TwilioAuthToken.")


def _of_the_way(writer: _Writer) -> None:
    writer.run("Refused port", "Nothing listens there.", AWS_ENDPOINT_URL=refused_port())
    with black_hole() as nowhere:
        writer.run(
            "Black hole",
            "Something listens, and never answers.",
            "?timeout=1",
            AWS_ENDPOINT_URL=nowhere,
        )
    writer.run(
        "Plain HTTP",
        "`AWS_ENDPOINT_URL` is `http://` and another machine.",
        AWS_ENDPOINT_URL="http://localstack:4566",
    )
    writer.run("No region", "No place names one.", AWS_DEFAULT_REGION="")


PAGE = reports.Page("aws", all_reports, 'SAFETWILIO_BACKEND="{backend}" python -c "{program}"')

if __name__ == "__main__":
    PAGE.write()
