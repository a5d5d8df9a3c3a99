"""Lists in pages, the newest first, as Twilio pages them.

Page size, parameters and the shape of the answer come from the OpenAPI descriptions. The page
token names the last item shown (``PA`` + SID) or, backwards, the first (``PB`` + SID), as the real
tokens do, so that items made or deleted meanwhile neither repeat nor hide others. A recorded page
of real Messages with both is in github.com/saintpete/logrole, in its ``server`` tests
(``PageToken=PASMcc61…``, ``PageToken=PBSMcc61…``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlencode

from safetwilio.testing.answers import Answer, Refused, bad_parameter, whole_number
from safetwilio.testing.assumptions import requests as assumed

if TYPE_CHECKING:
    from collections.abc import Callable

    from safetwilio.testing.call import Call
    from safetwilio.testing.shelf import Shelf

DEFAULT_PAGE_SIZE = 50
LARGEST_PAGE = 1000
_OWN_PARAMETERS = ("PageSize", "Page", "PageToken")
_FORWARDS, _BACKWARDS = "PA", "PB"

Item = TypeVar("Item")


def page(
    call: Call,
    name: str,
    shelf: Shelf[Item],
    show: Callable[[Item], dict[str, Any]],
    wanted: Callable[[Item], bool] | None = None,
) -> Answer:
    """Answer with one page of the items of *shelf* that are *wanted*, each as *show* writes it.

    *name* is the list's name in the answer, *wanted* is ``None`` for all. The links of the v2010
    API are relative; those of v1 APIs are absolute and, with all but the list, part of ``meta``.
    """
    query = call.query
    origin = "" if call.request.path.startswith("/2010-04-01/") else f"https://{call.request.host}"
    size, number, token = _size(call, query), _number(query), query.get("PageToken", "")
    if number and not token and call.assumed(assumed.PAGE_WITHOUT_TOKEN) == "refused":
        raise bad_parameter("Page", "a page beyond the first needs its PageToken")
    if not token:
        number = 0
    items = [pair for pair in shelf.newest_first() if wanted is None or wanted(pair[1])]
    start, stop = _window([sid for sid, _ in items], shelf, token, size)
    shown = items[start:stop]

    def uri(page_number: int, page_token: str = "") -> str:
        pairs = [pair for pair in call.request.query if pair[0] not in _OWN_PARAMETERS]
        pairs += [("PageSize", str(size)), ("Page", str(page_number))]
        pairs += [("PageToken", page_token)] if page_token else []
        return f"{origin}{call.request.path}?{urlencode(pairs)}"

    following = stop < len(items) and bool(shown)
    preceding = start > 0 and bool(shown) and number > 0
    links = {
        "first_page_": uri(0),
        "next_page_": uri(number + 1, _FORWARDS + shown[-1][0]) if following else None,
        "previous_page_": uri(number - 1, _BACKWARDS + shown[0][0]) if preceding else None,
        "": uri(number, token),
    }
    document: dict[str, Any] = {name: [show(item) for _, item in shown]}
    place: dict[str, Any] = {"page": number, "page_size": size}
    if origin:
        place |= {"key": name, **{f"{which}url": link for which, link in links.items()}}
        return Answer(200, {**document, "meta": place})
    place |= {"start": number * size, "end": number * size + max(len(shown) - 1, 0)}
    return Answer(
        200, {**document, **place, **{f"{which}uri": link for which, link in links.items()}}
    )


def _size(call: Call, query: dict[str, str]) -> int:
    text = query.get("PageSize", str(DEFAULT_PAGE_SIZE))
    size = whole_number(text) or 0
    if size > LARGEST_PAGE and call.assumed(assumed.OVERSIZED_PAGE) == "clamped":
        return LARGEST_PAGE
    if size > LARGEST_PAGE:
        raise Refused(400, 20007, "Page size too large")  # docs/api/errors/20007
    if not size:
        raise bad_parameter("PageSize", f"not a number from 1 to {LARGEST_PAGE}")
    return size


def _number(query: dict[str, str]) -> int:
    text = query.get("Page", "0")
    number = whole_number(text)
    if number is None:
        raise bad_parameter("Page", "not a number from 0")
    return number


def _window(sids: list[str], shelf: Shelf[Any], token: str, size: int) -> tuple[int, int]:
    """Return the slice of *sids*, the newest first, that the page after or before *token* shows."""
    if not token:
        return 0, size
    direction, place = token[: len(_FORWARDS)], shelf.place(token[len(_FORWARDS) :])
    if place is None or direction not in {_FORWARDS, _BACKWARDS}:
        raise bad_parameter("PageToken", "not one that this list gave out")
    newer = sum(1 for sid in sids if (shelf.place(sid) or 0) > place)
    if direction == _BACKWARDS:
        return max(newer - size, 0), newer
    start = newer + (newer < len(sids) and shelf.place(sids[newer]) == place)
    return start, start + size
