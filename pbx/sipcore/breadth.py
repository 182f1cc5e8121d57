"""In how many places one request may be at once: Max-Breadth. Pure. RFC 5393 §5.3.

With Max-Forwards alone a request that is forked again and again multiplies; shared out, the breadth of all its copies
together never grows.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Generic, TypeVar

from pbx.sipcore.message import Request

HEADER = "Max-Breadth"
UNSAID = 60
"""RFC 5393 §5.3.3.1: what a request has that says nothing of it."""
_PART = 8  # of what is left for each that comes, since nobody knows how many will

Branch = TypeVar("Branch")


def breadth(request: Request) -> int:
    """What a request may be shared out into."""
    said = request.number(HEADER)
    return UNSAID if said is None else said


class Shares(Generic[Branch]):
    """Of one request, which is forked little by little. Without a breadth all may have it, and none says so."""

    def __init__(self) -> None:
        self._shares: dict[Branch, int] = {}

    def take(self, branch: Branch, whole: int | None, under_way: Iterable[Branch]) -> bool:
        """A share for one more, beside those that are under way; false when nothing is left."""
        if whole is None:
            return True
        left = whole - sum(self._shares.get(each, 0) for each in under_way)
        if left > 0:
            self._shares[branch] = max(1, left // _PART)
        return left > 0

    def headers(self, branch: Branch) -> tuple[tuple[str, str], ...]:
        """What the request says that goes there."""
        share = self._shares.get(branch)
        return () if share is None else ((HEADER, str(share)),)
