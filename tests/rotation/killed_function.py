"""A process that does what a cloud asks for, and is killed at the point that it is told."""

from __future__ import annotations

import json
import os
import sys
from typing import Any

from crash_child import Points, hurry, watch


def main(cloud: str, stop: str, events: str) -> None:
    """Give *events* to the function of *cloud*, until the point numbered *stop*."""
    points = Points(int(stop), lose=False)
    watch(points)
    hurry(os.environ["SAFETWILIO_EMULATOR"])
    for event in json.loads(events):
        _function(cloud)(event)


def _function(cloud: str) -> Any:
    if cloud == "aws":
        from safetwilio.rotation.aws_lambda import handler

        return handler
    from safetwilio.rotation.google_function import handle

    return handle


if __name__ == "__main__":
    main(*sys.argv[1:])
