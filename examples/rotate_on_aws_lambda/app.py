"""AWS Secrets Manager calls this function for each step of a rotation."""

from safetwilio.rotation.aws_lambda import handler

__all__ = ["handler"]
