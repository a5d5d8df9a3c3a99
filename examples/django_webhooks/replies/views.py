"""What Twilio calls."""

import logging

from django.http import HttpRequest, HttpResponse
from twilio.twiml.messaging_response import MessagingResponse

from safetwilio.integrations.django import twilio_webhook

log = logging.getLogger(__name__)


@twilio_webhook
def reply(request: HttpRequest) -> HttpResponse:
    """Answer a text."""
    answer = MessagingResponse()
    answer.message(f"You said: {request.POST['Body']}")
    return HttpResponse(str(answer), content_type="text/xml")


@twilio_webhook
async def delivered(request: HttpRequest) -> HttpResponse:
    """Note what became of a message."""
    log.info("A message is %s", request.POST["MessageStatus"])
    return HttpResponse(status=204)
