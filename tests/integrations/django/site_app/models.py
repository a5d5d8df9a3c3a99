"""Imported before any ``ready()``."""

from safetwilio import client

SENDS_WITH = client
