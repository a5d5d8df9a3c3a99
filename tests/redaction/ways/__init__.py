"""The ways out of a process, each through its real library; run by ``leak_matrix.py``.

A way is a generator: what it does first is set up, then it takes one text after the other and
yields all that has left the process since.
"""

from ways import logs, process, structured, telemetry, web  # noqa: F401 - in the table's order
from ways.base import SERVERS, WAYS, Protection, in_use

__all__ = ["SERVERS", "WAYS", "Protection", "in_use"]
