"""Times on the command line: ``90d``, ``12h``, ``15m``, ``30s``."""

from __future__ import annotations

import argparse
import re

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_TIME = re.compile(r"([0-9]{1,6})([smhd])")


def duration(text: str) -> float:
    """Return the seconds that *text* means; argparse says what is wrong otherwise."""
    found = _TIME.fullmatch(text.strip())
    if found is None:
        raise argparse.ArgumentTypeError("a time is a number with its unit: 90d, 12h, 15m or 30s")
    return int(found[1]) * _UNITS[found[2]]
