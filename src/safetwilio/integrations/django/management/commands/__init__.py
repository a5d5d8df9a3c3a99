"""``manage.py safetwilio``."""
