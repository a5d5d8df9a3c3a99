"""The street from inside a web framework: one module for each, with the same few verbs."""
