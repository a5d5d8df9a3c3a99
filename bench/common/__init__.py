"""What the measurements share; nothing here is measured."""
