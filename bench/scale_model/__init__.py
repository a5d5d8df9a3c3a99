"""A fleet of processes in simulated time: what ``scale.py`` runs, and its test."""
