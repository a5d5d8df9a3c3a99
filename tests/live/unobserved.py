"""Why the other assumptions have no probe."""

from __future__ import annotations

OWN = "about the emulator, not about Twilio"
SENDS = "a message would have to be sent, which costs"
SPENDS = "something would have to be spent"
CALLBACK = "needs spending, and a public address to call back"

UNOBSERVED: dict[str, str] = {
    "suspend_main_account": "would suspend the account, if it is possible",
    "token_rotation_needs": "needs a Main key of a throw-away account; the Console alone makes it",
    "conflict_status": SENDS,
    "delivery_seconds": OWN,
    "unsent_match_date_filter": SENDS,
    "messaging_geo_default": OWN,
    "refused_geo_item_shows": "would change the account's own geo permissions, if not refused",
    "voice_geo_default": OWN,
    "voice_geo_main_inheritance": "would change the account's own settings, if not refused",
    "message_price": OWN,
    "usage_lag_seconds": SPENDS,
    "trigger_fires_when": SPENDS,
    "triggers_include_subaccounts": SPENDS,
    "idempotency_date": CALLBACK,
    "callbacks_arrive": CALLBACK,
    "failed_callback_alert": SPENDS,
    "redaction_event": SENDS,
    "event_retention_days": OWN,
    "sender_ownership": OWN,
    "unknown_service": OWN,
    "empty_pool": SENDS,
    "pool_conflict_status": "a phone number would have to be bought",
    "ended_call_update": "somebody would have to be called, which costs",
    "ringing_seconds": OWN,
    "talking_seconds": OWN,
}
