"""What nobody has confirmed about Twilio, asked of Twilio itself; ``nox -s live`` runs it.

Each assumption of the emulator that can be observed has a probe here, and each other one the reason
why it has none. Nothing here is collected by an ordinary run but ``test_probes.py``, which proves
the probes against the emulator.
"""
