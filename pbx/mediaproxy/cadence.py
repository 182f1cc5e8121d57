"""Tones that come and go, as telephone exchanges play them: `425/480,0/480`. Values and their text form only.

Whether a line brings one is found out by `tone_watch`. The text is that of other telephone systems: frequencies in Hz
joined by `+`, behind the slash milliseconds; sound and silence, which is `0`, take turns. ITU-T E.180.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_TURN = re.compile(r"\s*(0|\d{3,4}(?:\+\d{3,4}){0,3})/(\d{2,4})\s*", re.ASCII)
MOST = 8
"""Limit: tones that are looked for on one line, and turns of one of them."""

LONGEST = 6000
"""Limit: milliseconds of one period: as much, and twice, is held back of a recording that may end by it."""


@dataclass(frozen=True, slots=True)
class Cadence:
    """`frequencies` in Hz, sounding together; `times` in milliseconds: sound, silence, sound …, an even number."""

    frequencies: tuple[int, ...]
    times: tuple[int, ...]

    def __str__(self) -> str:
        sound = "+".join(map(str, self.frequencies))
        return ",".join(f"{0 if at % 2 else sound}/{time}" for at, time in enumerate(self.times))


def parse(text: str) -> tuple[Cadence, ...]:
    """Cadences with `;` between. Raises ValueError."""
    found = tuple(_one(part) for part in text.split(";"))
    if len(found) > MOST:
        raise ValueError(f"at most {MOST} tones")
    return found


def _one(text: str) -> Cadence:
    turns = [match for match in map(_TURN.fullmatch, text.split(",")) if match is not None]
    sounds, silences = {turn[1] for turn in turns[::2]}, {turn[1] for turn in turns[1::2]}
    if len(turns) != len(text.split(",")) or len(turns) % 2 or len(turns) > MOST:
        raise ValueError(f"{text.strip()!r} is no tone: write it like 425/480,0/480")
    if silences != {"0"} or len(sounds) != 1 or "0" in sounds:
        raise ValueError(f"{text.strip()!r} is no tone: one sound and silence take turns, like 425/480,0/480")
    frequencies = tuple(int(each) for each in sounds.pop().split("+"))
    times = tuple(int(turn[2]) for turn in turns)
    if not all(200 <= each <= 3400 for each in frequencies) or min(times) < 100 or sum(times) > LONGEST:
        raise ValueError(f"{text.strip()!r} is no tone: 200 to 3400 Hz, 100 ms and more, {LONGEST} ms in all")
    return Cadence(frequencies, times)
