"""Send messages from Celery: run with `celery --app tasks worker`.

The import loads the key, in the worker's first process, before it forks: a worker without a good
key stops there, with the report. BROKER_URL is where the tasks wait.
"""

import os

from celery import Celery

import safetwilio
from safetwilio import client

app = Celery("tasks", broker=os.environ["BROKER_URL"], backend=os.environ.get("RESULT_BACKEND"))


@app.task
def tell(to: str, body: str) -> str:
    """Send *body* to the number *to*, and return the message's SID."""
    sent = client.messages.create(to=to, from_="+15005550006", body=body)
    return str(sent.sid)


@app.task
def load_key_again() -> bool:
    """Let the process that does this task use the key that is in the backend now."""
    return safetwilio.refresh()
