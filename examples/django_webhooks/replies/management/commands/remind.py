"""``python manage.py remind +15550100``."""

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from safetwilio import client


class Command(BaseCommand):
    """Sends a reminder."""

    help = "Send a reminder to a number."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the number."""
        parser.add_argument("number")

    def handle(self, *_: Any, number: str, **__: Any) -> None:
        """Send it."""
        sent = client.messages.create(to=number, from_="+15551230000", body="See you tomorrow!")
        self.stdout.write(f"It is {sent.status}.")
