"""Whether another way may take a call that was refused: does the refusal speak of the way, or of who is called? Pure.

    no answer at all, a broken connection, no such host          another way
    5xx, 402, 430, a challenge that our login does not meet      another way
    any status with a Q.850 cause of "resource unavailable"      another way: 34 no circuit, 38 out of order, 41 …
    a 5xx with a Q.850 cause of who is called (17 busy …)        none
    404, 408, 480, 484, 486, 403, 6xx …                          none: another carrier says the same, or rings twice
    anything after ringing or audio that the caller has heard    none
    anything that is said to a call for help                     another way

RFC 3261 §21.5, RFC 3326 (Reason), RFC 3398 §8.2.6.1 (a gateway writes cause 18, no user responding, as 408, and causes
of congestion as 503), ITU-T Q.850 §2.2.5.
"""

from __future__ import annotations

import re

from pbx.sipcore.message import Response

PATIENCE = 5.0
"""Limit: seconds in which a way must say something, if only 100, where there is another one."""
_CAUSE = re.compile(r"\bQ\.850\s*;(?:[^,]*;)?\s*cause\s*=\s*(\d{1,3})\b", re.IGNORECASE)
_OF_WAY = frozenset({401, 402, 407, 430})
_OF_CALLEE = frozenset({1, 17, 18, 19, 20, 21, 22, 23, 26, 27, 28})
"""Q.850: unallocated, busy, no answer, absent, rejected, changed, out of order, incomplete number."""


def helps(response: Response | None, *, heard: bool = False, urgent: bool = False) -> bool:
    """`response` is the final refusal, None when there was none; `heard`: the caller has heard of this way already;
    `urgent`: he calls for help."""
    if urgent or response is None:
        return urgent or not heard
    if heard:
        return False
    cause = _cause(response)
    if cause >> 4 == 2:  # its class: resource unavailable
        return True
    return cause not in _OF_CALLEE and (response.status // 100 == 5 or response.status in _OF_WAY)


def is_heard(response: Response) -> bool:
    """Whether the caller hears something of a provisional: ringing, or audio of the way itself. A bare 183 says no more
    than 100."""
    return response.status > 100 and (response.status != 183 or bool(response.body))


def _cause(response: Response) -> int:
    """That of Q.850 in the Reason header; 0 without one."""
    match = _CAUSE.search(", ".join(response.get_all("Reason")[:5]))
    return int(match[1]) if match else 0
