"""What a seed means: weather, people, telephones, calls, and what befalls the town. Each kind has a stream of chance of
its own, so that one more kind leaves the others as they were."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Literal

from tests.simulation.answering import Manner
from tests.simulation.calling import Plan, Transfer
from tests.simulation.phones import DOMAIN, Kind
from tests.simulation.subscribing import Wish

PEOPLE = {"alice": "201", "bob": "202", "carol": "203", "dave": "204", "erin": "205", "frank": "206"}
PROGRAMS = ("200", "600", "299", "*98", "conference")
MOST_PHONES = 12
WATCHING = 0.13
"""Of so many towns telephones subscribe: more would cost more than a twentieth of the time of all."""

What = Literal["crash", "stop", "restart", "worker", "partition", "rebinding", "leaving", "strays"]
_ODDS: tuple[tuple[What, float], ...] = (
    ("crash", 0.12),
    ("stop", 0.05),
    ("restart", 0.05),
    ("worker", 0.05),
    ("partition", 0.15),
    ("rebinding", 0.25),
    ("leaving", 0.12),
    ("strays", 0.15),
)


def chance(seed: int, kind: str) -> random.Random:
    """The stream of chance for one kind of thing."""
    return random.Random(f"{seed} {kind}")


@dataclass(frozen=True, slots=True)
class Home:
    """A telephone and where it stands; `router`: behind one of its own."""

    name: str
    kind: Kind
    router: bool


@dataclass(frozen=True, slots=True)
class Happening:
    """Something befalls the town `after` seconds from the first call on, and lasts so long."""

    what: What
    after: float
    lasts: float


def draw_homes(rng: random.Random) -> list[Home]:
    """Alice has one; the others none, one or two; in a large town more."""
    large = rng.random() < 0.1
    homes = []
    for name in PEOPLE:
        count = 1 if name == "alice" else rng.choice((1, 2, 3) if large else (0, 0, 1, 1, 2))
        for _ in range(count):
            kind = Kind(
                "tcp" if rng.random() < 0.2 else "udp",
                rng.choice((120, 600, 3600, 3600)),
                rng.choice((1, 2, 4, 4)),
                rng.random() < 0.4,
            )
            homes.append(Home(name, kind, rng.random() < 0.3))
    return homes[:MOST_PHONES]


def draw_wishes(rng: random.Random, phones: int) -> list[tuple[int, Wish]]:
    """In some towns a telephone or two watch: which ones, and what. A lamp is one's own."""
    if rng.random() >= WATCHING:
        return []
    events = ("message-summary", "dialog", "dialog", "presence")
    return [
        (rng.randrange(phones), Wish(rng.choice(events), rng.choice(tuple(PEOPLE)), rng.choice((60, 240, 600))))
        for _ in range(rng.randint(1, 3))
    ]


def draw_happenings(rng: random.Random) -> list[Happening]:
    found = []
    for what, odds in _ODDS:
        if rng.random() < odds:
            found.append(Happening(what, rng.choice((0.1, 0.5, 3.0, 12.0, 40.0)) * (0.5 + rng.random()), _lasting(rng)))
    return sorted(found, key=lambda each: each.after)


def _lasting(rng: random.Random) -> float:
    return rng.choice((1.0, 3.0, 10.0, 40.0)) * (1.0 + rng.random())


def draw_plans(rng: random.Random) -> list[tuple[Plan, float]]:
    """The calls, and the seconds until the next one."""
    count = rng.randint(8, 14) if rng.random() < 0.08 else rng.randint(2, 6)
    plans = [(draw_plan(rng), rng.choice((0.0, 0.3, 4.0, 20.0))) for _ in range(count)]
    if rng.random() < 0.05:
        plans += [(_draw_lasting(rng), 1.0) for _ in range(rng.randint(2, 5))]
    return plans


def _draw_lasting(rng: random.Random) -> Plan:
    """Hours of talking, with the other one on hold now and then."""
    dialled, talk = rng.choice(tuple(PEOPLE.values())), rng.uniform(1800.0, 12_000.0)
    holds = [at for _ in range(rng.randint(0, 4)) for at in (rng.uniform(20.0, talk - 400.0),)]
    turns = sorted(turn for at in holds for turn in (at, at + rng.uniform(1.0, 300.0)))
    return Plan(dialled, talk=talk, holds=tuple(turns), lasting=True)


def draw_plan(rng: random.Random) -> Plan:
    dialled = rng.choice((*PEOPLE.values(), *PEOPLE.values(), *PROGRAMS, "bob"))
    cancel = rng.choice((0.0, 0.02, 0.4, 2.0, 3.0, 8.0)) if rng.random() < 0.2 else None
    talk = rng.choice((0.0, 0.01, 1.0, 6.0, 30.0, 90.0, 300.0))
    holds = tuple(sorted(rng.uniform(0.0, 12.0) for _ in range(rng.choice((0, 0, 0, 1, 2, 4)))))
    transfer = None
    if rng.random() < 0.1:
        talk = 60.0
        transfer = Transfer(rng.choice((0.1, 2.0, 8.0)), rng.choice(tuple(PEOPLE.values())), rng.random() < 0.5)
    return Plan(dialled, cancel, talk, _draw_keys(rng), rng.random() < 0.1, holds, rng.random() < 0.1, transfer)


def _draw_keys(rng: random.Random) -> tuple[tuple[float, str], ...]:
    at, keys = 0.0, []
    for _ in range(rng.choice((0, 0, 1, 3, 8))):
        at += rng.choice((0.1, 1.0, 4.0, 9.0))
        keys.append((at, rng.choice("0123#*")))
    return tuple(keys)


def draw_manner(rng: random.Random) -> Manner:
    status = rng.choice((200, 200, 200, 200, 486, 603, 480, 500, 302, 0))
    ring = rng.choice((0.0, 0.05, 1.0, 3.0, 10.0, 40.0))
    trying = rng.choice((None, 0.0, 0.05, 1.0))
    contact = f"<sip:{rng.choice(tuple(PEOPLE.values()))}@{DOMAIN}>"
    hold = rng.choice((0.0, 1.5, 9.0)) if rng.random() < 0.1 else None
    return Manner(status, ring, trying, rng.choice((None, None, 0.0, 3.0, 20.0)), contact, hold)
