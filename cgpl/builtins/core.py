"""The table of built-ins that every environment has and that need no host of their own."""

from __future__ import annotations

from cgpl.builtins import anything, arrays, conversion, dates, numbers, strings, xml
from cgpl.builtins.table import Builtin, BuiltinTable

CORE: tuple[Builtin, ...] = (
    *anything.BUILTINS,
    *strings.BUILTINS,
    *numbers.BUILTINS,
    *dates.BUILTINS,
    *arrays.BUILTINS,
    *xml.BUILTINS,
    *conversion.BUILTINS,
)


def core_builtins() -> BuiltinTable:
    """A table of the core."""
    return BuiltinTable(CORE)
