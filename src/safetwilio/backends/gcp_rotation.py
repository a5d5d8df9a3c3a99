"""When the versions of a secret of Google Secret Manager were made.

The newest version is what ``latest`` opens, so a version took the place when it was made, and what
was there before gave way.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from safetwilio.backends.deadline import deadline_of
from safetwilio.backends.failures import silent
from safetwilio.backends.gcp_client import number_of
from safetwilio.backends.gcp_errors import may_pass
from safetwilio.backends.gcp_sm import GoogleBackend

if TYPE_CHECKING:
    from collections.abc import Mapping

TO_LIST = "secretmanager.versions.list"
_PAGE = 25


class GoogleVersions(GoogleBackend):
    """Lists the newest versions of one secret, without what they hold."""

    @silent
    def made(self) -> Mapping[int, datetime]:
        """Return when each of the newest versions was made, by its number.

        That is SecretVersion's createTime, "the time at which the SecretVersion was created", from
        ListSecretVersions, whose answer is "sorted in reverse by createTime (newest first)": one
        page is enough. Raises :class:`safetwilio.errors.BackendError` (ST33x).
        """
        deadline = deadline_of(self._reference)
        request = {"parent": self._place.secret, "page_size": _PAGE}

        def first_page(client: Any, how: dict[str, Any]) -> dict[int, datetime]:
            pages = client.list_secret_versions(request=request, **how).pages
            found = {number_of(each.name): each.create_time for each in next(iter(pages)).versions}
            return {number: made for number, made in found.items() if isinstance(made, datetime)}

        outcome, who = self._try(deadline, first_page, again=may_pass)
        found: Mapping[int, datetime] = self._settle(outcome, who, deadline, "list versions of")
        return found
