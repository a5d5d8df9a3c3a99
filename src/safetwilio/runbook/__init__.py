"""Plan, confirm, apply, resume: how safetwilio changes what cannot be changed back."""
