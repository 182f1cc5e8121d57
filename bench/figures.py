"""What a bench gives back, and how much effort it takes. Values only."""

from __future__ import annotations

import os

Figure = tuple[str, float, str]
"""Name, value, unit."""

QUICK = "TANDEM_BENCH_QUICK"


def quick() -> bool:
    """True when shorter loads and rougher figures are wanted."""
    return bool(os.environ.get(QUICK))


def effort(full: int, short: int) -> int:
    """How often: `full`, or `short` when it shall be quick."""
    return short if quick() else full
