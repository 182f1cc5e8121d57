"""Sipura and Linksys SPA adapters: their dial plans (`dialplan`, `dialling`). How to set one up is in README.md."""
