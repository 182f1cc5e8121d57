"""One call as rules see it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


@dataclass(frozen=True, slots=True)
class Occasion:
    """`sender` and `uri` are addresses as written, with their scheme; `proved` is the account's address that the caller
    has proved, else empty; `engaged`: who is called is in a call; `wall` seconds since 1970."""

    sender: str = ""
    sender_name: str = ""
    to: str = ""
    uri: str = ""
    proved: str = ""
    private: bool = False
    engaged: bool = False
    method: str = "INVITE"
    call_type: str = "AV"
    wall: float = 0.0

    @property
    def anonymous(self) -> bool:
        """The caller does not say who he is (RFC 3323 §4.1.1.3), or wants not to be told."""
        return self.private or not self.sender or "anonymous" in self.sender.lower()


def local_time(wall: float, zone: str) -> datetime:
    """The time on the wall there; without a zone that of this machine. Daylight saving is the zone's own."""
    moment = datetime.fromtimestamp(wall, UTC)
    return moment.astimezone(ZoneInfo(zone)) if zone else moment.astimezone()


def within(clock: int, begin: int, end: int) -> bool:
    """Whether a second of the day lies in `[begin, end)`; over midnight when it ends before it begins."""
    return begin <= clock < end if begin <= end else clock >= begin or clock < end


def seconds_of(moment: datetime) -> int:
    """The second of the day that a clock there shows."""
    return moment.hour * 3600 + moment.minute * 60 + moment.second


def day_of(moment: datetime) -> str:
    return DAYS[moment.weekday()]


def span(text: str) -> tuple[int, int]:
    """`HH:MM-HH:MM` in seconds of the day. Raises ValueError."""
    begin, dash, end = text.partition("-")
    if not dash:
        raise ValueError(f"{text!r} is no span of time: write 18:00-07:30")
    return _clock(begin), _clock(end)


def _clock(text: str) -> int:
    hours, colon, minutes = text.strip().partition(":")
    if not (colon and hours.isdigit() and minutes.isdigit() and int(hours) <= 24 and int(minutes) < 60):
        raise ValueError(f"{text.strip()!r} is no time of day: write 07:30")
    return min(int(hours) * 3600 + int(minutes) * 60, 86_400)


def days(text: str) -> Sequence[str]:
    """`Mon,Tue` or `Mon-Fri`. Raises ValueError."""
    found: list[str] = []
    for part in filter(None, (piece.strip().capitalize() for piece in text.split(","))):
        first, dash, last = (piece.strip().capitalize()[:3] for piece in part.partition("-"))
        if first not in DAYS or (dash and last not in DAYS):
            raise ValueError(f"{part!r} is no day: write Mon, Tue, Wed, Thu, Fri, Sat or Sun")
        begin, end = DAYS.index(first), DAYS.index(last if dash else first)
        found += [DAYS[number % 7] for number in range(begin, end + 1 if begin <= end else end + 8)]
    return tuple(dict.fromkeys(found))
