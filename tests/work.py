"""How much costly work something does, counted and not timed, so that it can be compared exactly."""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_COSTLY = re.compile(r"openssl_|md5|sha|digest|decrypt|encrypt|hmac", re.IGNORECASE)


@contextmanager
def work() -> Iterator[Counter[str]]:
    """Counts every call of a function that hashes, seals, opens or compares, however deep it is made."""
    done: Counter[str] = Counter()

    def note(frame: FrameType, event: str, function: object) -> None:
        name = getattr(function, "__name__", "") if event == "c_call" else frame.f_code.co_name
        if event in ("call", "c_call") and _COSTLY.search(name):
            done[name] += 1

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        yield done
    finally:
        sys.setprofile(before)
