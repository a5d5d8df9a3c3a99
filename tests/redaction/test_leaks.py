"""No spelling of a secret leaves by any way out, however redaction is installed."""

from __future__ import annotations

import pytest
from leak_matrix import ORDERS, count, run_apart
from peers import COLUMNS
from ways import WAYS

pytest.importorskip("sentry_sdk")


@pytest.mark.parametrize("order", ORDERS)
def test_the_matrix(order: str) -> None:
    """Each way leaks without redaction (else it proves nothing), and masks with it."""
    table = run_apart(order)
    assert len(table) > 20
    wanted = "leak" if order == "never" else "ok"
    wrong = {
        f"{name}: {spelling}": verdict
        for name, row in table.items()
        for spelling, verdict in row.items()
        if verdict != wanted
    }
    assert wrong == {}
    assert count(table, wanted) == sum(map(len, table.values()))


def test_what_others_claim_are_ways() -> None:
    """`nox -s leaks` compares with them; they are not installed here."""
    claims = [column.claims for column in COLUMNS.values()]
    assert frozenset().union(*(claim for claim in claims if claim is not None)) <= set(WAYS)
