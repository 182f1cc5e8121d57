"""One call record, as a value; and the live record that a call fills in. No storage here."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Literal

from pbx.mediaproxy.engine import StreamStatistics

RECORDED = "recorded"
RECORDING_ENDED = "recording ended"
RECORDING_REFUSED = "not recorded"
MONITORED = "monitored"
"""What may happen in a call besides its beginning and end."""

Outcome = Literal["answered", "busy", "no-answer", "failed", "cancelled"]


@dataclass(frozen=True, slots=True)
class Side:
    """What one party's audio was like: packets and loss as received from it, jitter in milliseconds."""

    user_agent: str = ""
    received: int = 0
    sent: int = 0
    lost: int = 0
    jitter: float = 0.0

    @classmethod
    def of(cls, user_agent: str, statistics: StreamStatistics) -> Side:
        return cls(
            user_agent[:200],
            statistics.packets_received,
            statistics.packets_sent,
            statistics.lost,
            round(statistics.jitter, 1),
        )


@dataclass(frozen=True, slots=True)
class CallEvent:
    """Something that happened in a call, at a wall second: `what` in words, and the name of a file, or why."""

    at: float
    what: str
    about: str = ""


@dataclass(frozen=True, slots=True)
class CallRecord:
    """Times are wall seconds; `duration` is seconds from answer to end; `program` names what answered, if one did.

    `ended_by` is `caller`, `callee`, `server`, or empty when nobody was connected.
    """

    id: str
    call_id: str
    started: float
    answered: float | None
    ended: float
    caller: str
    caller_account: int | None
    dialled: str
    callee: str
    callee_account: int | None
    program: str
    outcome: Outcome
    status: int
    ended_by: str
    cause: str
    codec: str = ""
    near: Side = field(default_factory=Side)
    far: Side = field(default_factory=Side)
    events: tuple[CallEvent, ...] = ()

    @property
    def recordings(self) -> tuple[str, ...]:
        """The names of its files (`tandem recording`)."""
        return tuple(event.about for event in self.events if event.what == RECORDED)

    @property
    def duration(self) -> float:
        return 0.0 if self.answered is None else max(0.0, self.ended - self.answered)

    def is_of(self, accounts: Collection[int]) -> bool:
        """Whether one of these accounts has called or was reached."""
        return self.caller_account in accounts or self.callee_account in accounts


@dataclass(slots=True)
class LiveRecord:
    """The record of a call under way."""

    id: str
    call_id: str
    started: float
    caller: str
    caller_account: int | None
    dialled: str
    callee: str = ""
    callee_account: int | None = None
    program: str = ""
    answered: float | None = None
    status: int = 0
    ended_by: str = ""
    cause: str = ""
    codec: str = ""
    near: Side = field(default_factory=Side)
    far: Side = field(default_factory=Side)
    events: list[CallEvent] = field(default_factory=list)

    def close(self, ended: float) -> CallRecord:
        return CallRecord(
            self.id,
            self.call_id,
            self.started,
            self.answered,
            ended,
            self.caller,
            self.caller_account,
            self.dialled,
            self.callee,
            self.callee_account,
            self.program,
            outcome(self.status, self.answered is not None),
            self.status,
            self.ended_by,
            self.cause,
            self.codec,
            self.near,
            self.far,
            tuple(self.events),
        )


def outcome(status: int, answered: bool) -> Outcome:
    """The plain word for a final status."""
    if answered:
        return "answered"
    match status:
        case 486 | 600 | 603:
            return "busy"
        case 408 | 480:
            return "no-answer"
        case 487:
            return "cancelled"
        case _:
            return "failed"
