"""The safe way to hold Twilio credentials."""
