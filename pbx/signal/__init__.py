"""Signals: calls being set up."""
