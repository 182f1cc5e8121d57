"""Recorded calls: where their files are, which call each belongs to, how long they stay."""
