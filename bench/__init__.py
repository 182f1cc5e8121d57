"""Figures of what the server costs: `python -m bench`."""
