"""Places secrets come from: one file each, behind :mod:`safetwilio.backends.interface`."""
