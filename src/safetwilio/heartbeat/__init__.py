"""Which key each process uses: a small file for each, in a directory that the environment names.

Twilio keeps no time at which a key was used last, so that nobody could say when a replaced one may
be deleted. ``SAFETWILIO_HEARTBEAT=DIR`` lets each process write there what key it has: as it
boots, whenever it has looked for another one, and at its first request after a fork. Nothing runs
in the background, and a file that cannot be written is a warning (ST957) and no more.

No file holds a SID or a secret, only fingerprints. Its mode is 0640 whatever the umask, so that
who rotates the keys may be another user of the same group. Whoever may write to the directory can
hide a process.
"""

from safetwilio.heartbeat.reading import (
    Heartbeat,
    Heartbeats,
    Skipped,
    read_heartbeats,
    sweep,
)
from safetwilio.heartbeat.writing import SERVICE, VARIABLE, beat, problems

__all__ = [
    "SERVICE",
    "VARIABLE",
    "Heartbeat",
    "Heartbeats",
    "Skipped",
    "beat",
    "problems",
    "read_heartbeats",
    "sweep",
]
