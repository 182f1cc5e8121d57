"""Telephones that set themselves up: which files they ask for, and what stands in them."""
