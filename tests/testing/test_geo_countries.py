"""Which country a number belongs to."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safetwilio.testing.resources.countries import (
    HIGH_RISK,
    HOME,
    UNSUPPORTED,
    Country,
    countries,
    country_of,
)

ANY = st.sampled_from(list(countries().values()))
DIGITS = st.text("0123456789", min_size=4, max_size=10)


@pytest.mark.parametrize(
    ("number", "iso"),
    [
        ("+12125550100", "US"),
        ("+14165550100", "CA"),
        ("+17875550100", "PR"),
        ("+18495550100", "DO"),
        ("+18005550100", "US"),
        ("+15551230001", "US"),
        ("+447700900123", "GB"),
        ("+441481712345", "GG"),
        ("+447624300000", "IM"),
        ("+447797712345", "JE"),
        ("+79161234567", "RU"),
        ("+77011234567", "KZ"),
        ("+923001234567", "PK"),
        ("+970591234567", "PS"),
        ("+972541234567", "IL"),
        ("+390669812345", "IT"),
        ("+80012345678", None),
        ("+8821612345", None),
        ("+2101234567", None),
        ("+1", "US"),
        ("", None),
    ],
)
def test_numbers(number: str, iso: str | None) -> None:
    country = country_of(number)
    assert (country.iso if country else None) == iso


@given(country=ANY, which=st.integers(min_value=0), rest=DIGITS)
def test_a_number_belongs_to_the_longest_prefix_that_claims_it(
    country: Country, which: int, rest: str
) -> None:
    """Checked against a search through the whole table, which needs no tricks."""
    digits = country.prefixes[which % len(country.prefixes)] + rest
    claims = [
        (len(prefix), each.iso)
        for each in countries().values()
        for prefix in each.prefixes
        if digits.startswith(prefix)
    ]
    found = country_of(f"+{digits}")
    assert found
    assert found.iso == max(claims)[1]


@given(st.text())
def test_any_text_is_answered(text: str) -> None:
    found = country_of(text)
    assert found is None or text.removeprefix("+").startswith(found.prefixes)


def test_the_table() -> None:
    """Nobody claims what another does; only what is said to be shared lies within another's."""
    table = countries()
    prefixes = [prefix for each in table.values() for prefix in each.prefixes]
    assert len(prefixes) == len(set(prefixes))
    within = {(b, len(a)) for a in prefixes for b in prefixes if a != b and a.startswith(b)}
    assert within == {("1", 4), ("7", 2), ("44", 6), ("44", 7)}
    assert all(prefix.isdigit() and len(prefix) <= 7 for prefix in prefixes)
    assert list(table) == sorted(table)
    assert all(iso == each.iso and len(iso) == 2 and each.name for iso, each in table.items())
    assert {each.continent for each in table.values()} == {
        "AFRICA",
        "ASIA",
        "EUROPE",
        "NORTH_AMERICA",
        "OCEANIA",
        "SOUTH_AMERICA",
    }
    assert HIGH_RISK | UNSUPPORTED | {HOME} <= set(table)


def test_calling_codes() -> None:
    table = countries()
    assert table["PK"].shown_codes(area_codes=False) == ["+92"]
    assert table["DO"].shown_codes(area_codes=True) == ["+1809", "+1829", "+1849"]
    assert table["DO"].shown_codes(area_codes=False) == ["+1"]
    for code, sharing in (("+1", "US CA"), ("+7", "KZ RU"), ("+44", "GB GG IM JE")):
        for iso in sharing.split():
            assert table[iso].shown_codes(area_codes=True) == [code]
