"""An application whose models say ``from safetwilio import client``, as many do."""
