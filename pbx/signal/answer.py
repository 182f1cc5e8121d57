"""Answers of branches and the choice among them (RFC 3261 §16.7). Pure values; no SIP message is seen here."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

BUSY = frozenset({486, 600, 603})
"""What a phone says when its user does not want the call now (spec: pbx-apps §4)."""

SILENT = frozenset({408, 480, 487})
"""Nobody answered: ringing ran out, the phone is out of reach, or it was cancelled."""

# RFC 3261 §16.7 step 6: among 4xx these tell the caller how to do better.
_TELLING = (401, 407, 415, 420, 484)

COMPLETED_ELSEWHERE = 'SIP;cause=200;text="Call completed elsewhere"'
GIVEN_UP = 'SIP;cause=487;text="Request Terminated"'
"""Reason headers (RFC 3326) of a CANCEL: somebody else has answered (no missed call), or the caller waits no longer."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A provisional or final answer of a branch. `contacts` holds the targets of a 3xx. `elsewhere`: the refusal speaks
    of the way, not of who is called, so that another way may help."""

    status: int
    reason: str = ""
    contacts: tuple[str, ...] = ()
    elsewhere: bool = False

    @property
    def provisional(self) -> bool:
        return self.status < 200

    @property
    def success(self) -> bool:
        return 200 <= self.status < 300


def rank(status: int) -> tuple[int, int]:
    """Of several final statuses the lowest goes back: any 6xx, then the lowest class, within 4xx what tells the caller
    most (RFC 3261 §16.7 step 6)."""
    family = status // 100
    if family == 6:
        return (0, status)
    if status in _TELLING:
        return (4, _TELLING.index(status))
    # Busy tells the caller more than "nobody there", which tells more than an odd refusal of one of several phones.
    if status in BUSY:
        return (family, 10)
    if status in SILENT:
        return (family, 20 + status % 100)
    return (family, 200 + status % 100)


def best(answers: Iterable[Answer]) -> Answer:
    """The final answer to hand on, 480 when there is none (RFC 3261 §16.7 step 6)."""
    chosen = min(answers, key=lambda answer: rank(answer.status), default=Answer(480))
    # RFC 3261 §16.7 step 6: a 503 of one branch says nothing about this server.
    return Answer(500, chosen.reason) if chosen.status == 503 else chosen
