"""The command line: one file per command, which parses, calls, prints; prompts, output apart."""
