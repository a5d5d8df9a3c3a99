"""What the emulator remembers of what came and what was sent.

No entry holds a secret: the credentials of a request are its username, if that is a SID.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, overload

from safetwilio.testing.identity import public_username, without_secrets
from safetwilio.testing.records import Message

if TYPE_CHECKING:
    from datetime import datetime

    from safetwilio.testing.answers import Answer
    from safetwilio.testing.exchange import EmulatedRequest
    from safetwilio.testing.state import World


@dataclass(frozen=True)
class JournalEntry:
    """One request as it arrived; *username* is the SID it was made with, never a secret.

    *status* is what was answered, also when the answer did not reach the client (500 if a fault
    broke the connection before the request was processed).
    """

    method: str
    host: str
    path: str
    query: tuple[tuple[str, str], ...]
    username: str | None
    at: datetime
    status: int


def entry_of(request: EmulatedRequest, answer: Answer, at: datetime) -> JournalEntry:
    """Return the entry of *request*, which got *answer* *at* that time."""
    return JournalEntry(
        method=request.method,
        host=request.host,
        path=without_secrets(request, request.path),
        query=tuple((name, without_secrets(request, value)) for name, value in request.query),
        username=public_username(request),
        at=at,
        status=answer.status,
    )


class Outbox(Sequence[Message]):
    """The messages accepted so far, the oldest first: a view that grows, never changes."""

    def __init__(self, world: World) -> None:
        """Look at what *world* sent."""
        self._world = world

    def __repr__(self) -> str:
        return f"<Outbox of {len(self)}>"

    def __len__(self) -> int:
        return len(self._world.sent)

    def __iter__(self) -> Iterator[Message]:
        return iter(self[:])

    @overload
    def __getitem__(self, index: int) -> Message: ...
    @overload
    def __getitem__(self, index: slice) -> list[Message]: ...
    def __getitem__(self, index: int | slice) -> Message | list[Message]:
        with self._world.lock:
            sent = self._world.sent
            return list(sent)[index] if isinstance(index, slice) else sent[index]
