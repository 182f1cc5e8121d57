"""A whole server and its telephones in one process and in virtual time, all from one seed; and what must hold after it.

`run(seed)` raises AssertionError with the story of the run when something does not hold.
"""

from __future__ import annotations

import asyncio
import os
import random
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from structlog.processors import format_exc_info
from structlog.testing import capture_logs

from apps.host import program_cache
from apps.ports import run_at_once
from base.clock import Timer
from base.config import Config, Listen, SipConfig
from base.entropy import SeededEntropy
from base.metrics import Metrics
from base.storage.inline import InlineDatabases
from pbx.records.record import CallRecord
from pbx.sipcore.failures import SipSyntaxError
from pbx.sipcore.message import Request, Response
from pbx.sipcore.parser import parse
from pbx.transport.memory import MemoryNetwork
from pbx.transport.network import Endpoint
from server.house import Ground, House
from tests.simulation.phones import DOMAIN, SERVER, Manner, Placed, Plan, SimPhone
from tests.simulation.studio import VirtualStream, VirtualStudio
from tests.simulation.virtual import simulate

_MEMORY = "/dev/shm" if os.path.isdir("/dev/shm") else None
EPOCH = 1_700_000_000.0
PEOPLE = {"alice": "201", "bob": "202", "carol": "203", "dave": "204"}
QUIET = 700.0
"""After the last call: every timer of the transactions, sessions and programs has run out."""


class VirtualClock:
    """The virtual loop's time, also as time of day."""

    def now(self) -> float:
        return asyncio.get_running_loop().time()

    def wall(self) -> float:
        return EPOCH + self.now()

    def call_later(self, delay: float, callback: Callable[[], None]) -> Timer:
        return asyncio.get_running_loop().call_later(max(0.0, delay), callback)


@dataclass(frozen=True, slots=True)
class Weather:
    """What the network does to a datagram."""

    loss: float = 0.0
    double: float = 0.0
    jitter: float = 0.0

    @classmethod
    def drawn(cls, rng: random.Random) -> Weather:
        if rng.random() < 0.3:
            return cls()
        return cls(rng.choice((0.0, 0.05, 0.2)), rng.choice((0.0, 0.1)), rng.choice((0.0, 0.05, 0.8)))


@dataclass
class Wire:
    """The fate of each datagram, and a note of every INVITE and its finals as they passed."""

    rng: random.Random
    weather: Weather
    finals: dict[tuple[str, int], set[tuple[int, str]]] = field(default_factory=lambda: defaultdict(set))
    arrived: dict[tuple[str, int], float] = field(default_factory=dict)
    proved: set[str] = field(default_factory=set)
    lines: list[str] = field(default_factory=list)

    def fate(self, data: bytes, source: Endpoint, destination: Endpoint) -> Sequence[float]:
        copies = 0 if self.rng.random() < self.weather.loss else 2 if self.rng.random() < self.weather.double else 1
        self._note(data, source, destination, copies)
        return [0.01 + self.rng.random() * self.weather.jitter for _ in range(copies)]

    def _note(self, data: bytes, source: Endpoint, destination: Endpoint, copies: int) -> None:
        first = data.partition(b"\r\n")[0].decode()
        now = asyncio.get_running_loop().time()
        try:
            message = parse(data)
        except SipSyntaxError:
            return
        self.lines.append(
            f"{now:9.3f} {source[0]} > {destination[0]} {'x' if not copies else ''} {first} "
            f"[{message.cseq.number} {message.cseq.method} {message.call_id[:8]}]"
        )
        key = (message.call_id, message.cseq.number)
        if isinstance(message, Request) and message.method == "INVITE" and destination == SERVER and copies:
            self.arrived[key] = now
            if message.has("Authorization") or message.has("Proxy-Authorization"):
                self.proved.add(message.call_id)
        elif isinstance(message, Response) and source == SERVER and message.method == "INVITE" and message.is_final:
            self.finals[key].add((message.status, message.to_tag))


class Town:
    """The server, its people and the network."""

    def __init__(self, seed: int, folder: Path, *, early: bool) -> None:
        self.rng = random.Random(seed)
        self.early = random.Random(seed + 2) if early else None
        self.folder = folder
        self.clock = VirtualClock()
        self.wire = Wire(random.Random(seed + 1), Weather.drawn(self.rng))
        self.network = MemoryNetwork(self.clock, fate=self.wire.fate)
        self.databases = InlineDatabases(latency=0.005)
        self.studio = VirtualStudio(self.clock)
        self.metrics = Metrics()
        self.phones: list[SimPhone] = []
        self.worker_died = self.stopped = False
        self.closed_at = float("inf")
        self.house = House(self._ground(seed), _CONFIG, self.metrics, "0", domain=DOMAIN)

    def _ground(self, seed: int) -> Ground:
        return Ground(
            clock=self.clock,
            entropy=SeededEntropy(seed),
            network=self.network,
            databases=self.databases,
            media=self.studio,  # type: ignore[arg-type]  # its streams are joined only with streams of its own
            run=run_at_once,
            data=self.folder,
            key=bytes(32),
            hosts=(SERVER[0],),
            programs=_PROGRAMS,
        )

    async def open(self) -> None:
        await self.house.open()
        directory = self.house.directory
        for name, number in PEOPLE.items():
            account = directory.find_account(DOMAIN, name)
            if account is None:
                account = await directory.create_account(DOMAIN, name, f"{name}-secret", extension=number)
            else:
                await directory.set_password(account.id, f"{name}-secret")
            for key, value in (
                ("VoicemailAfter", self.rng.choice((0, 3, 12))),
                ("VoicemailOnBusy", self.rng.choice(("YES", "NO"))),
                ("VoicemailOnError", self.rng.choice(("YES", "NO"))),
                ("CallFeatures", self.rng.choice(("YES", "YES", "YES", "NO"))),
            ):
                await directory.set_setting(account.id, key, value)

    def add_phone(self, name: str) -> SimPhone:
        number = len(self.phones) + 1
        entropy = SeededEntropy(self.rng.getrandbits(32))
        phone = SimPhone(name, f"{name}-secret", self.network, self.clock, entropy, f"10.0.1.{number}")
        phone.manner = lambda: draw_manner(self.rng)
        phone.press = self._press
        phone.reliable = self.early is not None and self.early.random() < 0.7
        self.phones.append(phone)
        return phone

    def _press(self, port: int, digit: str) -> None:
        stream = self.studio.facing(port)
        if stream is not None:
            stream.press(digit)

    async def live(self) -> None:
        """Phones register, a few calls are placed in each other's way, and all comes to rest."""
        rng = self.rng
        for name in PEOPLE:
            for _ in range(rng.choice((0, 1, 1, 2)) if name != "alice" else 1):
                self.add_phone(name).register()
        await asyncio.gather(*(phone.registered.wait() for phone in self.phones))
        for _ in range(rng.randint(2, 6)):
            rng.choice(self.phones).call(draw_plan(rng))
            await asyncio.sleep(rng.choice((0.0, 0.3, 4.0, 20.0)))
            if rng.random() < 0.04:
                self.clock.call_later(rng.choice((0.2, 5.0, 15.0)), self.studio.die)
                self.worker_died = True
        if rng.random() < 0.1:
            await asyncio.sleep(rng.choice((0.0, 0.1, 3.0, 20.0)))
            await self.stop()
        await asyncio.gather(*(placed.done.wait() for placed in self.placed))
        await asyncio.sleep(QUIET)

    async def stop(self) -> None:
        """The server is asked to stop, with calls under way."""
        self.stopped = True
        await self.house.close()
        self.closed_at = self.clock.now()

    @property
    def placed(self) -> list[Placed]:
        return [placed for phone in self.phones for placed in phone.placed]

    async def messages(self) -> int:
        """Voice messages in all mailboxes."""
        total = 0
        for account in self.house.directory.accounts():
            new, old = await self.house.store.voice_counts(account.id)
            total += new + old
        return total

    async def records(self) -> list[CallRecord]:
        return await self.house.book.recent(1000)


_PROGRAMS = program_cache()
"""The programs that come with Tandem are compiled once for all runs."""

_CONFIG = Config(sip=SipConfig(listen=(Listen("udp", *SERVER),)))


def draw_plan(rng: random.Random) -> Plan:
    dialled = rng.choice((*PEOPLE.values(), *PEOPLE.values(), "200", "600", "299", "*98", "bob", "conference"))
    cancel = rng.choice((0.0, 0.02, 0.4, 2.0, 3.0, 8.0)) if rng.random() < 0.25 else None
    talk = rng.choice((0.0, 0.01, 1.0, 6.0, 30.0, 90.0))
    holds = tuple(sorted(rng.uniform(0.0, 12.0) for _ in range(rng.choice((0, 0, 0, 1, 2, 4)))))
    return Plan(dialled, cancel, talk, _draw_keys(rng), rng.random() < 0.1, holds, rng.random() < 0.1)


def _draw_keys(rng: random.Random) -> tuple[tuple[float, str], ...]:
    at, keys = 0.0, []
    for _ in range(rng.choice((0, 0, 1, 3, 8))):
        at += rng.choice((0.1, 1.0, 4.0, 9.0))
        keys.append((at, rng.choice("0123#*")))
    return tuple(keys)


def draw_manner(rng: random.Random) -> Manner:
    status = rng.choice((200, 200, 200, 486, 603, 480, 500, 302, 0))
    ring = rng.choice((0.0, 0.05, 1.0, 3.0, 10.0, 40.0))
    trying = rng.choice((None, 0.0, 0.05, 1.0))
    contact = f"<sip:{rng.choice(tuple(PEOPLE.values()))}@{DOMAIN}>"
    return Manner(status, ring, trying, rng.choice((None, None, 0.0, 3.0, 20.0)), contact)


# --- what must hold


async def check(town: Town) -> list[str]:
    """Everything that does not hold, in words."""
    return [
        *_check_finals(town),
        *_check_phones(town),
        *_check_rest(town),
        *await _check_records(town),
        *await _check_messages(town),
    ]


def _check_finals(town: Town) -> list[str]:
    """Exactly one final answer for each INVITE that came in."""
    wire = town.wire
    return [
        f"INVITE {key[0][:8]} {key[1]} got the finals {sorted(wire.finals.get(key, set()))}"
        for key, when in wire.arrived.items()
        if when < town.closed_at - 2.0 and not _is_final(wire.finals.get(key, set()))
    ]


def _is_final(answers: set[tuple[int, str]]) -> bool:
    """One; or, by way of the proxy, the 2xx of each phone that answered (RFC 3261 §16.7 step 5)."""
    return len(answers) == 1 or (len(answers) > 1 and all(status == 200 for status, _ in answers))


def _check_phones(town: Town) -> list[str]:
    found = [fault for phone in town.phones for fault in phone.faults]
    for phone in town.phones:
        for taken in phone.taken:
            if not taken.ended and not town.stopped:
                found.append(f"{phone.name} at {phone.local[0]} still has {taken.request.call_id} open")
        if phone.layer.client_count or phone.layer.server_count:
            found.append(f"{phone.name} has transactions left")
    return found


def _check_rest(town: Town) -> list[str]:
    """Nothing of a call is left in the server."""
    house, found = town.house, []
    layer: Any = house.stack._layer
    exchange = house.switchboard.exchange
    for what, count in (
        ("client transactions", layer.client_count),
        ("server transactions", layer.server_count),
        ("answers kept", layer.spent_count),
        ("calls", len(exchange.calls)),
        ("legs", exchange.legs),
        ("call tasks", len(exchange._tasks)),
        ("calls counted of accounts", sum(exchange._calls_of.values())),
        ("streams", town.studio.loaded()),
        ("programs", len(house.host.running)),
        ("files in the spool", sum(1 for path in (town.folder / "spool").glob("*"))),
        ("clips", sum(1 for path in (town.folder / "clips").glob("*"))),
        ("faults in calls", town.metrics.value("calls.faults")),
        ("broken programs", town.metrics.value("apps.tasks.broken") + town.metrics.value("apps.tasks.failed")),
    ):
        if count:
            found.append(f"{count} {what} left")
    return found


async def _check_records(town: Town) -> list[str]:
    found = []
    by_call: dict[str, list[CallRecord]] = defaultdict(list)
    for record in await town.records():
        by_call[record.call_id].append(record)
    for placed in town.placed:
        records = by_call.pop(placed.call_id, [])
        expected = 1 if placed.call_id in town.wire.proved and placed.status != 401 else 0
        if len(records) != expected and not (town.stopped and placed.status == -1):
            found.append(f"{len(records)} records of call {placed.call_id[:8]} ({placed.status}), not {expected}")
        elif records:
            found += [f"record of {placed.call_id[:8]}: {fault}" for fault in _compare(town, placed, records[0])]
    for record in (record for records in by_call.values() for record in records):
        if not _placed_by_program(town, record):
            found.append(f"record of nobody's call: {record}")
    return found


def _placed_by_program(town: Town, record: CallRecord) -> bool:
    """What the attendant places for its caller is a call of its own: it begins while that caller talks to it."""
    talks = [(placed.answered_at, placed.ended_at) for placed in town.placed if placed.plan.keys]
    began = record.started - EPOCH
    return any(answered is not None and answered <= began <= (ended or began) + 1 for answered, ended in talks)


def _compare(town: Town, placed: Placed, record: CallRecord) -> list[str]:
    """The record and the caller's own view."""
    if placed.status == -1:
        return []
    if placed.answered != (record.outcome == "answered") or placed.status != record.status:
        return [f"the caller got {placed.status}, the record says {record.outcome} {record.status}"]
    if placed.status == 487 and record.ended_by != "caller":
        return [f"cancelled, but ended by {record.ended_by!r}"]
    if not placed.answered or (town.stopped and record.cause == "shutdown"):
        return []
    found = []
    if placed.bye_received and not placed.hung_up and record.ended_by == "caller":
        found.append("the caller was hung up on, and is said to have ended it")
    if placed.hung_up and not placed.bye_received and record.ended_by == "server":
        found.append(f"the caller hung up, but it ended by {record.ended_by!r} ({record.cause})")
    calm = town.wire.weather == Weather()
    if calm and placed.answered_at is not None and placed.ended_at is not None:
        talked = placed.ended_at - placed.answered_at
        if abs(talked - record.duration) > 0.5:
            found.append(f"talked for {talked:.2f} s, the record says {record.duration:.2f}")
    if not record.program and (heard := _heard_by(town, placed)) and record.callee.partition("@")[0] not in heard:
        found.append(f"answered by {record.callee}, but the audio was joined with {heard}")
    return found


def _heard_by(town: Town, placed: Placed) -> set[str]:
    """The accounts whose phones' audio was joined with this caller's: the B2BUA's Call-IDs are its own."""
    numbers = {n for stream in town.studio.streams if _port(stream) == placed.port for n in stream.met}
    ports = {_port(stream) for stream in town.studio.streams if stream.id in numbers}
    return {taken.phone.name for phone in town.phones for taken in phone.taken if taken.port in ports}


def _port(stream: VirtualStream) -> int:
    return 0 if stream.settings is None else stream.settings.remote[1]


async def _check_messages(town: Town) -> list[str]:
    """No more messages than recordings that were long enough."""
    takings = [taking for stream in town.studio.streams for taking in stream.takings]
    most = sum(1 for taking in takings if taking.seconds >= 1.99)
    count = await town.messages()
    return [f"{count} messages of {most} recordings"] if count > most else []


@dataclass(frozen=True, slots=True)
class Story:
    """What happened in a run."""

    seed: int
    faults: tuple[str, ...]
    lines: tuple[str, ...]
    outcomes: Counter[str]
    messages: int


async def _play(seed: int, folder: Path, logs: list[Any], early: bool) -> Story:
    town = Town(seed, folder, early=early)
    try:
        await town.open()
        before = asyncio.all_tasks()
        await town.live()
        faults = await check(town)
        left = {task.get_name() for task in asyncio.all_tasks() - before}
        faults += [f"task left: {name}" for name in left]
        outcomes = Counter(f"{record.outcome}" + (f" {record.program}" if record.program else "")
                           for record in await town.records())  # fmt: skip
        messages = await town.messages()
        if not town.stopped:
            await town.house.close()
        faults += [f"task left at the end: {t.get_name()}" for t in asyncio.all_tasks() - {asyncio.current_task()}]
    finally:
        town.databases.discard()
    faults += [
        f"log: {line.pop('exception', '')} {line}"
        for line in logs
        if line["log_level"] in ("error", "critical") or "exception" in line
    ]
    return Story(seed, tuple(faults), tuple(town.wire.lines), outcomes, messages)


def run(seed: int, *, early: bool = False) -> Story:
    """One run from its seed; with `early`, most telephones know reliable provisional responses."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=_MEMORY)))
        logs = stack.enter_context(capture_logs(processors=(format_exc_info,)))
        return simulate(_play(seed, folder, logs, early))
