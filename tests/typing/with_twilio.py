"""What a type checker knows of Twilio's objects when it follows Twilio's untyped package.

pyright does so by itself, mypy with ``follow_untyped_imports``.
"""

from typing import assert_type

from twilio.http.http_client import TwilioHttpClient
from twilio.jwt.access_token.grants import VideoGrant, VoiceGrant
from twilio.rest import Client
from twilio.rest.api.v2010.account.message import MessageInstance, MessageList

from safetwilio import access_token, client, get_client
from safetwilio.access_tokens import AccessJwt
from safetwilio.clients import TwilioClient


def send(with_any: Client, to: str) -> MessageInstance:
    """Stand for code that exists already and takes Twilio's client."""
    return with_any.messages.create(to=to, from_="+15005550006", body="hello")


# Ours goes wherever Twilio's went.
twilios: Client = client
assert_type(send(client, "+15005550010"), MessageInstance)
assert_type(send(get_client("marketing"), "+15005550010"), MessageInstance)

# It has Twilio's attributes with Twilio's types.
assert_type(client.messages, MessageList)
message = client.messages.create(to="+15005550010", from_="+15005550006", body="hello")
assert_type(message, MessageInstance)
assert_type(message.sid, str | None)
assert_type(client.messages.list(limit=20), list[MessageInstance])
assert_type(client.messages("SM" + "0" * 32).fetch(), MessageInstance)
client.mesages  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]  # noqa: B018

# The constructor is Twilio's, by position and by name.
TwilioClient("SK…", "…", "AC…", "ie1", TwilioHttpClient(), None, "dublin")
TwilioClient(username="SK…", password="…", account_sid="AC…", user_agent_extensions=["shop/1.0"])
TwilioClient(api_key="SK…")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


def sign(voice: VoiceGrant, video: VideoGrant) -> None:
    """Access tokens take Twilio's grants, one or several, and nothing else."""
    assert_type(access_token("ada", voice), AccessJwt)
    assert_type(access_token("ada", [voice, video]), AccessJwt)
    assert_type(access_token("ada", (video,), 60), AccessJwt)


access_token("ada", "voice")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
