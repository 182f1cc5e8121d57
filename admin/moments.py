"""Moments as people write them."""

from __future__ import annotations

from datetime import datetime

from base.failures import Failure


def moment(text: str, otherwise: float) -> float:
    """`2026-12-24` or `2026-12-24 18:00` by the server's clock on the wall, in seconds since 1970; `otherwise` for an
    empty text. Raises Failure("invalid")."""
    if not text.strip():
        return otherwise
    try:
        return datetime.fromisoformat(text.strip()).timestamp()
    except ValueError:
        raise Failure("invalid", f"{text!r} is no time: write 2026-12-24 18:00") from None
