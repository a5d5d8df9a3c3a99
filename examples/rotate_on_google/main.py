"""Google Secret Manager asks by Pub/Sub that a secret be rotated."""

import functions_framework

from safetwilio.rotation.google_function import handle


@functions_framework.cloud_event
def rotate(event: object) -> None:
    """Rotate the key; an exception lets Pub/Sub bring the message again."""
    handle(event)
