"""Which country a number belongs to, by the digits after its plus.

The table is ``testing/data/countries.tsv``, which names its sources. Permissions go by what is
dialled, not by borders: "Geographic Permissions work based on the country code of the destination"
(support.twilio.com, article 223181108). The code alone is not enough below +1, where the United
States, Canada and two dozen others share it and the area code tells them apart: Puerto Rico,
+1 787 and +1 939, has a permission of its own (github.com/CDCgov/prime-simplereport/issues/1259).
Nor is it below +44 (``assumptions.geo.MESSAGING_GEO_BELOW_44``). A number with +1 that no other
country's area code claims, valid or not, counts as the United States'.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from safetwilio.testing.assumptions import geo as assumed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from safetwilio.testing.assumptions import Assumption, Choice

# errors/30649: "can only be managed via Twilio Console", and "does not support delivering"
HIGH_RISK = frozenset({"AZ", "BD", "DZ", "IL", "LK", "NG", "OM", "PK", "PS", "TJ", "TN"})
UNSUPPORTED = frozenset({"CU", "IR", "SY"})
HOME = "US"  # where the emulator's accounts are at home: their numbers begin with +1

_LONGEST_PREFIX = 7  # +44 and five digits


@dataclass(frozen=True)
class Country:
    """A country by its *iso* code; its numbers begin with one of the *prefixes*.

    These are its calling *codes*, if it has them for itself.
    """

    iso: str
    name: str
    continent: str
    codes: tuple[str, ...]
    prefixes: tuple[str, ...]

    def shown_codes(self, *, area_codes: bool) -> list[str]:
        """Return the calling codes with a plus, those below +1 with their *area_codes* or not."""
        if self.codes[0].startswith("1") and not area_codes:
            return ["+1"]
        return [f"+{code}" for code in self.codes]


@cache
def countries() -> dict[str, Country]:
    """Return all countries by ISO code, in the order of these."""
    table = files("safetwilio.testing").joinpath("data", "countries.tsv").read_text("utf-8")
    rows = (line.split("\t") for line in table.splitlines() if not line.startswith("#"))
    found = {}
    for iso, name, continent, *digits in rows:
        codes, prefixes = digits[0].split(), digits[-1].split()
        found[iso] = Country(iso, name, continent, tuple(codes), tuple(prefixes))
    return found


def country_of(number: str) -> Country | None:
    """Return the country of *number* (``+`` and digits), ``None`` if its code is no country's."""
    by_prefix = _by_prefix()
    digits = number.removeprefix("+")[:_LONGEST_PREFIX]
    for length in range(len(digits), 0, -1):
        if (country := by_prefix.get(digits[:length])) is not None:
            return country
    return None


def permission_of(assumptions: Mapping[Assumption, Choice], iso: str) -> str:
    """Return the country whose messaging permission counts for *iso*, as a rule itself."""
    if iso == "CA" and assumptions[assumed.MESSAGING_GEO_CANADA] == "with_us":
        return "US"
    if iso in {"GG", "IM", "JE"} and assumptions[assumed.MESSAGING_GEO_BELOW_44] == "with_gb":
        return "GB"
    return iso


@cache
def _by_prefix() -> dict[str, Country]:
    return {prefix: country for country in countries().values() for prefix in country.prefixes}
