"""Run a program against moto's AWS in every kind of trouble, and write what it says.

::

    python tests/backends/aws_reports.py

The reports go into docs/backends/aws.md, below the line that names this file.
"""

from __future__ import annotations

import re
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

HERE = Path(__file__).resolve().parent
for _folder in (HERE, HERE.parent):
    if str(_folder) not in sys.path:  # where the test runner has put them, but nobody else
        sys.path.append(str(_folder))

from aws_server import (  # noqa: E402
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

from support import auth_token, new_key, run_python  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterable

PAGE = HERE.parents[1] / "docs" / "backends" / "aws.md"
MARK = "<!-- Below: written by tests/backends/aws_reports.py -->\n"
SHOWN_ADDRESS = "https://secretsmanager.eu-west-1.amazonaws.com"
PROGRAM = "from safetwilio import client"
_RAISED = "safetwilio.errors."


class Report(NamedTuple):
    """What one kind of trouble is called, how it was set up, and what the program said."""

    name: str
    words: str
    backend: str
    text: str
    values: tuple[str, ...]


class _Writer:
    def __init__(self, aws: AwsServer, folder: Path) -> None:
        self.aws = aws
        self.folder = folder
        self.reports: list[Report] = []
        self.key = new_key()
        self.token = auth_token()

    def run(self, name: str, words: str, options: str = "", **environment: str) -> None:
        backend = REFERENCE + options
        variables = {
            **self.aws.environment,
            "HOME": str(self.folder),
            "SAFETWILIO_BACKEND": backend,
            **environment,
        }
        for each in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
            variables.setdefault(each, "")
        done = run_python("-c", PROGRAM, cwd=self.folder, environment=variables)
        lines = done.stderr.splitlines()
        starts = [number for number, line in enumerate(lines) if line.startswith(_RAISED)]
        text = "\n".join(line.rstrip() for line in lines[starts[-1] if starts else 0 :]).strip()
        text = re.sub(r"http://127\.0\.0\.1:\d+", SHOWN_ADDRESS, text)
        values = (*self.key, self.token, variables["AWS_SECRET_ACCESS_KEY"])
        self.reports.append(Report(name, words, backend, text, values))

    def put(self, contents: dict[str, object] | str) -> None:
        """Make the secret anew."""
        self.aws.reset()
        self.aws.put(contents)


def all_reports() -> tuple[Report, ...]:
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


def section(reports: Iterable[Report]) -> str:
    """Return the part of the page that shows *reports*."""
    return "\n".join(
        f"### {report.name}\n\n{report.words}\n\n```console\n"
        f'$ SAFETWILIO_BACKEND="{report.backend}" python -c "{PROGRAM}"\n{report.text}\n```\n'
        for report in reports
    )


def main() -> int:
    """Write the reports into the page."""
    text = PAGE.read_text(encoding="utf-8")
    prose, mark, _ = text.partition(MARK)
    reports = all_reports()
    PAGE.write_text(f"{prose}{mark or MARK}\n{section(reports)}", encoding="utf-8")
    print(f"{len(reports)} reports in {PAGE}")  # noqa: T201 - a command says what it did
    return 0


if __name__ == "__main__":
    sys.exit(main())
