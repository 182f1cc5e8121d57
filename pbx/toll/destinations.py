"""Patterns of destinations: `+49*`, `00*`, `*@partner.example`. Pure.

A pattern without `@` is for the number or name alone. Numbers are compared as they are dialled in the end: without
visual separators (RFC 3966 §5.1.1), parameters and escapes, so that none of these leads round a pattern.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from base import wildcards
from directory import names
from directory.model import Address

_SEPARATORS = str.maketrans("", "", "-.() ")
_NUMBER = re.compile(r"\+?[0-9*#]+")


def plain(local: str) -> str:
    """A number or name as patterns see it."""
    text = names.unescaped(local).partition(";")[0].strip().lower()
    bare = text.translate(_SEPARATORS)
    return bare if _NUMBER.fullmatch(bare) else text


def fits(address: Address, patterns: Iterable[str]) -> bool:
    """Whether one of the patterns describes the address."""
    local = plain(address.local)
    full = f"{local}@{address.domain.lower()}"
    return any(wildcards.fits(full if "@" in pattern else local, pattern.strip().lower()) for pattern in patterns)
