"""Rotation: one use case for each thing that can be replaced, and the services that use them."""
