"""Typed verbs over Twilio's account APIs; each takes the client whose powers it needs."""
