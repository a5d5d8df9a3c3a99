"""What a Secret Manager knows and refuses, in Google's own messages and words.

There is no emulator by Google. What is refused, and how, is from its API reference and from issues
that quote its answers; requests and answers are the types of ``google-cloud-secret-manager``.
"""

from __future__ import annotations

import json
import re
import threading
from collections import deque
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

import google.auth.exceptions
import google.auth.jwt
from google.cloud import secretmanager_v1 as sm
from google.iam.v1 import iam_policy_pb2
from google.protobuf import any_pb2
from google.rpc import error_details_pb2
from google_crc32c import value as crc32c

if TYPE_CHECKING:
    from collections.abc import Callable

PROJECT, NUMBER, NAME = "my-project", "123456789012", "twilio"
EMAIL = f"app@{PROJECT}.iam.gserviceaccount.com"
_NAMED = re.compile(
    r"projects/([^/]+)(?:/locations/([^/]+))?(?:/secrets/([^/]+))?(?:/versions/([^/]+))?"
)
PERMISSIONS = {
    "AccessSecretVersion": "secretmanager.versions.access",
    "AddSecretVersion": "secretmanager.versions.add",
    "CreateSecret": "secretmanager.secrets.create",
    "GetSecret": "secretmanager.secrets.get",
    "UpdateSecret": "secretmanager.secrets.update",
    "DisableSecretVersion": "secretmanager.versions.disable",
    "ListSecretVersions": "secretmanager.versions.list",
    "TestIamPermissions": "",
}
REQUESTS: dict[str, Any] = {
    "AccessSecretVersion": sm.AccessSecretVersionRequest.pb(),
    "AddSecretVersion": sm.AddSecretVersionRequest.pb(),
    "CreateSecret": sm.CreateSecretRequest.pb(),
    "GetSecret": sm.GetSecretRequest.pb(),
    "UpdateSecret": sm.UpdateSecretRequest.pb(),
    "DisableSecretVersion": sm.DisableSecretVersionRequest.pb(),
    "ListSecretVersions": sm.ListSecretVersionsRequest.pb(),
    "TestIamPermissions": iam_policy_pb2.TestIamPermissionsRequest,
}


class Refusal(Exception):
    """Google's no: a canonical *word*, a *message*, and maybe a *reason*."""

    def __init__(self, word: str, message: str, reason: str = "") -> None:  # noqa: D107
        super().__init__(message)
        self.word, self.message, self.reason = word, message, reason

    def details(self) -> list[any_pb2.Any]:
        """Return what Google puts beside the message."""
        if not self.reason:
            return []
        packed = any_pb2.Any()
        packed.Pack(error_details_pb2.ErrorInfo(reason=self.reason, domain="googleapis.com"))
        return [packed]


class Asked(NamedTuple):
    """One request as it arrived: the *method* (``GetSecret``), what it names, and the login."""

    method: str
    name: str
    authorization: str


class Kept:
    """One secret: its versions (data and state, from 1 on, and when made), aliases and etag."""

    def __init__(self) -> None:  # noqa: D107
        self.versions: list[tuple[bytes, str]] = []
        self.made: list[datetime] = []
        self.aliases: dict[str, int] = {}
        self.changes = 1

    @property
    def etag(self) -> str:
        """What Google gives out for the present state, quotes included."""
        return f'"{self.changes:x}"'

    def add(self, data: bytes) -> int:
        """Add a version that is made now, and return its number."""
        self.versions.append((data, "ENABLED"))
        self.made.append(datetime.now(UTC))
        return len(self.versions)

    def grow_older(self, seconds: float) -> None:
        """Let every version be made so many *seconds* earlier."""
        self.made = [made - timedelta(seconds=seconds) for made in self.made]


class Google:
    """What both servers answer from."""

    def __init__(self) -> None:  # noqa: D107
        self.lock = threading.RLock()
        self.public_key = b""  # of the service account; empty: everybody is let in
        self.reset()

    def reset(self) -> None:
        """Forget secrets, requests and refusals, and let everybody do everything again."""
        self.secrets: dict[str, Kept] = {}
        self.asked: list[Asked] = []
        self.denied: set[str] = set()
        self.before: dict[str, Callable[[], object]] = {}
        self.refusals: deque[tuple[str, Refusal]] = deque()
        self.tokens: dict[str, str] = {}
        self.corrupt = False
        self.checksums = True

    def put(self, contents: object, name: str = NAME, location: str | None = None) -> int:
        """Add a version and return its number; the secret is made if need be."""
        text = contents if isinstance(contents, str | bytes) else json.dumps(contents)
        data = text if isinstance(text, bytes) else text.encode()
        region = f"/locations/{location}" if location else ""
        with self.lock:
            secret = self.secrets.setdefault(f"projects/{PROJECT}{region}/secrets/{name}", Kept())
            return secret.add(data)

    @property
    def secret(self) -> Kept:
        """The secret that the tests' references name."""
        return self.secrets[f"projects/{PROJECT}/secrets/{NAME}"]

    def documents(self) -> list[Any]:
        """Return what its versions hold, the oldest first."""
        return [json.loads(data) for data, _ in self.secret.versions]

    def set_state(self, state: str, number: int = -1) -> None:
        """Disable or destroy a version, the newest if no *number* is given."""
        versions = self.secret.versions
        at = number - 1 if number > 0 else number
        versions[at] = (versions[at][0], state)

    def methods(self) -> list[str]:
        """Return what was asked for, in order."""
        return [asked.method for asked in self.asked]

    def answer(self, method: str, request: Any, authorization: str, *, tls: bool) -> Any:
        """Return Google's answer, or raise :class:`Refusal`."""
        name = _named(method, request)
        self.asked.append(Asked(method, name, authorization))
        if (before := self.before.pop(method, None)) is not None:
            before()
        with self.lock:
            if self.refusals and self.refusals[0][0] == method:
                raise self.refusals.popleft()[1]
            if tls:
                self._require_login(authorization)
            if PERMISSIONS[method] in self.denied:
                raise Refusal(
                    "PERMISSION_DENIED",
                    f"Permission '{PERMISSIONS[method]}' denied for resource '{name}' (or it may "
                    "not exist).",
                    "IAM_PERMISSION_DENIED",
                )
            return getattr(self, f"_{method}")(request, name)

    def _require_login(self, authorization: str) -> None:
        token = authorization.removeprefix("Bearer ")
        if token in self.tokens:
            return
        try:
            google.auth.jwt.decode(token, certs=self.public_key)
        except (ValueError, google.auth.exceptions.GoogleAuthError):
            pass
        else:
            return
        reason = "" if token.count(".") == 2 else "ACCESS_TOKEN_EXPIRED"  # a JWT of ours, or not
        raise Refusal("UNAUTHENTICATED", "Request had invalid authentication credentials.", reason)

    def _kept(self, name: str) -> Kept:
        secret = name.partition("/versions/")[0]
        if secret not in self.secrets:
            shown = secret.replace(PROJECT, NUMBER)
            raise Refusal("NOT_FOUND", f"Secret [{shown}] not found or has no versions.")
        return self.secrets[secret]

    def _version(self, name: str) -> tuple[Kept, int, str]:
        kept = self._kept(name)
        wanted = name.rpartition("/")[2]
        shown = name.partition("/versions/")[0].replace(PROJECT, NUMBER)
        number = len(kept.versions) if wanted == "latest" else kept.aliases.get(wanted, 0)
        if wanted.isdigit():
            number = int(wanted)
        if wanted == "latest" and not number:
            raise Refusal("NOT_FOUND", f"Secret [{shown}] not found or has no versions.")
        shown = f"{shown}/versions/{number or wanted}"
        if not 0 < number <= len(kept.versions):
            raise Refusal("NOT_FOUND", f"Secret Version [{shown}] not found.")
        return kept, number, shown

    def _AccessSecretVersion(self, _: Any, name: str) -> Any:  # noqa: N802
        kept, number, shown = self._version(name)
        data, state = kept.versions[number - 1]
        if state != "ENABLED":
            raise Refusal("FAILED_PRECONDITION", f"Secret Version [{shown}] is in {state} state.")
        checksum = {"data_crc32c": crc32c(data) ^ self.corrupt} if self.checksums else {}
        return sm.AccessSecretVersionResponse(
            name=shown, payload=sm.SecretPayload(data=data, **checksum)
        )

    def _AddSecretVersion(self, request: Any, name: str) -> Any:  # noqa: N802
        kept, payload = self._kept(name), request.payload
        if payload.HasField("data_crc32c") and payload.data_crc32c != crc32c(payload.data):
            raise Refusal("INVALID_ARGUMENT", "Payload checksum mismatch.")
        shown = f"{name.replace(PROJECT, NUMBER)}/versions/{kept.add(payload.data)}"
        return sm.SecretVersion(name=shown, state=sm.SecretVersion.State.ENABLED, etag='"1"')

    def _CreateSecret(self, request: Any, name: str) -> Any:  # noqa: N802
        full = f"{name}/secrets/{request.secret_id}"
        if ("/locations/" in name) == request.secret.HasField("replication"):
            raise Refusal("INVALID_ARGUMENT", "Exactly global secrets have a replication policy.")
        if full in self.secrets:
            raise Refusal("ALREADY_EXISTS", f"Secret [{full}] already exists.")
        self.secrets[full] = Kept()
        return sm.Secret(name=full)

    def _GetSecret(self, _: Any, name: str) -> Any:  # noqa: N802
        kept = self.secrets.get(name)
        if kept is None:
            raise Refusal("NOT_FOUND", f"Secret [{name.replace(PROJECT, NUMBER)}] not found.")
        return sm.Secret(
            name=name.replace(PROJECT, NUMBER), etag=kept.etag, version_aliases=kept.aliases
        )

    def _UpdateSecret(self, request: Any, name: str) -> Any:  # noqa: N802
        kept = self.secrets[name.replace(NUMBER, PROJECT)]
        if request.secret.etag and request.secret.etag != kept.etag:
            raise Refusal(
                "FAILED_PRECONDITION",
                f"The etag provided in the request {request.secret.etag} does not match the "
                f"current etag {kept.etag} of the resource.",
            )
        assert list(request.update_mask.paths) == ["version_aliases"]
        kept.aliases = dict(request.secret.version_aliases)
        kept.changes += 1
        return sm.Secret(name=name, etag=kept.etag, version_aliases=kept.aliases)

    def _DisableSecretVersion(self, _: Any, name: str) -> Any:  # noqa: N802
        kept, number, shown = self._version(name)
        kept.versions[number - 1] = (kept.versions[number - 1][0], "DISABLED")
        return sm.SecretVersion(name=shown, state=sm.SecretVersion.State.DISABLED)

    def _ListSecretVersions(self, request: Any, name: str) -> Any:  # noqa: N802
        kept, shown = self._kept(name), name.replace(PROJECT, NUMBER)
        found = [
            sm.SecretVersion(
                name=f"{shown}/versions/{number}",
                create_time=made,
                state=sm.SecretVersion.State[state],
            )
            for number, ((_, state), made) in enumerate(
                zip(kept.versions, kept.made, strict=True), start=1
            )
        ]
        page = request.page_size or len(found)
        return sm.ListSecretVersionsResponse(
            versions=found[::-1][:page], next_page_token="more" if page < len(found) else ""
        )

    def _TestIamPermissions(self, request: Any, _: str) -> Any:  # noqa: N802
        granted = [each for each in request.permissions if each not in self.denied]
        return iam_policy_pb2.TestIamPermissionsResponse(permissions=granted)


def _named(method: str, request: Any) -> str:
    if method == "UpdateSecret":
        return str(request.secret.name)
    of_parent = {"AddSecretVersion", "CreateSecret", "ListSecretVersions"}
    field = "parent" if method in of_parent else "name"
    return str(getattr(request, "resource" if method == "TestIamPermissions" else field))


def bare(message: Any) -> Any:
    """Return the protobuf message in one of proto-plus."""
    return type(message).pb(message) if hasattr(type(message), "pb") else message
