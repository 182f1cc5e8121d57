"""Counts the living objects of the product by class, and what their tables hold: two counts that differ name a leak.

It judges nothing, and knows no class by name.
"""

from __future__ import annotations

import gc
from collections import Counter, deque
from collections.abc import Iterator
from functools import _lru_cache_wrapper

_ROOMS = tuple(f"{room}." for room in ("base", "directory", "pbx", "mail", "cgpl", "admin", "apps", "server"))
_TABLES = (dict, list, set, deque)


def census() -> Counter[str]:
    """`pbx.room.Class`: how many there are; `pbx.room.Class.attribute`: how much all of these hold together."""
    _empty_caches()
    gc.collect()
    found: Counter[str] = Counter()
    for thing in gc.get_objects():
        kind = type(thing)
        if not str(kind.__module__).startswith(_ROOMS):
            continue
        name = f"{kind.__module__}.{kind.__qualname__}"
        found[name] += 1
        for attribute, value in _attributes(thing):
            if isinstance(value, _TABLES):
                found[f"{name}.{attribute}"] += len(value)
    return found


def _empty_caches() -> None:
    """What was read last and may be read again is no leak."""
    for thing in gc.get_objects():
        if isinstance(thing, _lru_cache_wrapper) and str(thing.__module__).startswith("pbx."):
            thing.cache_clear()


def _attributes(thing: object) -> Iterator[tuple[str, object]]:
    yield from getattr(thing, "__dict__", {}).items()
    for kind in type(thing).__mro__:
        slots = kind.__dict__.get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            if hasattr(thing, name):
                yield name, getattr(thing, name)
