"""Which web pages may open a WebSocket to us: those of this server's own names, and those that are listed. No I/O.

A browser tells the page's origin and lets no script change it; other programs send none. Without the check any page
that somebody inside opens could speak SIP from an address that we trust. RFC 6455 §4.2.2 and §10.2, RFC 6454.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from urllib.parse import urlsplit

from base.log import get_logger

ANY = "*"
_TOLD = 64
"""Limit: refused origins that are remembered, to name each once."""

_log = get_logger("pbx.transport")


class Origins:
    """`allowed`: `https://phone.example.org`, or `*` for all. `ours`: whether a host name or address means us; that the
    page's host is what the browser connected to is no sign, for a name can be made to lead to us."""

    def __init__(self, allowed: Collection[str], ours: Callable[[str], bool]) -> None:
        self._allowed = frozenset(each.lower() for each in allowed)
        self._ours = ours
        self._told: set[str] = set()

    def admits(self, origin: str | None) -> bool:
        """Whether a page of that origin may connect; None is no page."""
        if origin is None or ANY in self._allowed or origin.lower() in self._allowed or self._is_ours(origin):
            return True
        if len(self._told) < _TOLD and origin not in self._told:
            self._told.add(origin)
            _log.warning("web page refused", origin=origin[:200], hint="[sip] origins")
        return False

    def _is_ours(self, origin: str) -> bool:
        """A file, a sandbox and the like are `null` (RFC 6454 §7.3), and nobody's."""
        try:
            parts = urlsplit(origin)
            host = parts.hostname
        except ValueError:
            return False
        return parts.scheme in ("http", "https") and host is not None and self._ours(host)
