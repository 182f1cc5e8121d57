"""How much may come in how long: `10,1m` is ten a minute, `10,1m; 100,1h` both that and a hundred an hour. Pure text.

CommuniGate's flow limits (spec: cgp-server §1). What is counted is not known here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from base.failures import Failure

_PACE = re.compile(r"(\d{1,6})\s*,\s*(\d{1,6})\s*([smhd]?)")
_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}
_MOST = 4  # Limit: paces of one setting.

NONE = "unlimited"


@dataclass(frozen=True, slots=True)
class Pace:
    """At most `count` within `seconds`."""

    count: int
    seconds: float


def parse(text: str) -> tuple[Pace, ...]:
    """All of them must hold; none for `unlimited` and for empty text. Raises Failure("invalid")."""
    if text.strip().lower() in ("", NONE):
        return ()
    return tuple(_one(part) for part in text.split(";", _MOST))


def _one(text: str) -> Pace:
    match = _PACE.fullmatch(text.strip().lower())
    if match is None or int(match[2]) == 0:
        raise Failure("invalid", f"{text.strip()!r} is no pace: write 10,1m (ten a minute), 100,1h, or {NONE}")
    return Pace(int(match[1]), float(int(match[2]) * _UNITS[match[3]]))
