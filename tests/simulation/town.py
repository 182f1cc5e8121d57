"""A whole server and its telephones in one process and in virtual time, all from one seed: what happens there.

What must hold is in `watch` (on the wire), here (where objects must be looked at while the town lives) and in `checks`
(when all has come to rest).
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

from base.entropy import SeededEntropy
from pbx.records.record import CallRecord
from pbx.transport.network import Endpoint
from server.house import House
from tests.simulation import draws
from tests.simulation.answering import Manner, Taken
from tests.simulation.calling import Placed, Plan
from tests.simulation.clock import VirtualClock
from tests.simulation.draws import PEOPLE, PROGRAMS, Happening, chance
from tests.simulation.leg import Leg
from tests.simulation.network import STRANGER, TownNetwork, Weather
from tests.simulation.phones import DOMAIN, SimPhone
from tests.simulation.server import Server
from tests.simulation.studio import VirtualStream, VirtualStudio
from tests.simulation.watch import STRETCH, Watch

QUIET = 700.0
"""After the last call: every timer of the transactions, sessions and programs has run out."""
LOOK = 5.0
"""Seconds between two looks into the server; later, when little happens, `SELDOM`."""
SELDOM = 60.0
SILENCE = 90.0
"""Seconds without a word after which people hang up, when something has befallen the town."""
STUCK = 200.0
"""Seconds after which the server has noticed that a caller has gone: his BYE, or else 60-120 s of silence."""
AFTERMATH = 40.0
"""Seconds after something has befallen the town in which calls are still shaped by it (64*T1 and a little)."""


class Town:
    """The server, its people and the network."""

<<<<<<< HEAD
    def __init__(self, seed: int, folder: Path, contents: Mapping[str, bytes]) -> None:
        self.seed, self.folder = seed, folder
=======
    def __init__(self, seed: int, folder: Path, *, early: bool) -> None:
        self.rng = random.Random(seed)
        self.early = random.Random(seed + 2) if early else None
        self.folder = folder
>>>>>>> main
        self.clock = VirtualClock()
        self.watch = Watch(self.clock, self._may_ring)
        weather = Weather.drawn(chance(seed, "weather"))
        self.network = TownNetwork(self.clock, chance(seed, "network"), weather, self.watch.see)
        self.studio = VirtualStudio(self.clock, self.network, self._believed)
        self.server = Server(seed, folder, self.clock, self.network, self.studio, contents)
        self.phones: list[SimPhone] = []
        self.rough: list[tuple[float, float]] = []
        """From when until when something befell the town."""
        self.stopped = False
        self.calls_placed = 0
        self._rng = chance(seed, "happenings")
        self._manners = chance(seed, "manners")
        self._forwards: dict[str, set[str]] = defaultdict(set)
        self._voices: dict[int, Leg] = {}
        self._outer = 0

<<<<<<< HEAD
    @property
    def house(self) -> House:
        return self.server.house
=======
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
>>>>>>> main

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

    # --- beginning

    async def open(self) -> None:
        await self.server.start()
        rng, directory = chance(self.seed, "settings"), self.house.directory
        wanted = []
        for name in PEOPLE:
            account = directory.find_account(DOMAIN, name)
            assert account is not None
            for key, choice in (
                ("VoicemailAfter", (0, 3, 12)),
                ("VoicemailOnBusy", ("YES", "NO")),
                ("VoicemailOnError", ("YES", "NO")),
                ("CallFeatures", ("YES", "YES", "YES", "NO")),
            ):
                wanted.append(directory.set_setting(account.id, key, rng.choice(choice)))
        await asyncio.gather(*wanted)
        for number, home in enumerate(draws.draw_homes(chance(self.seed, "homes"))):
            self._add_phone(number, home)

    def _add_phone(self, number: int, home: draws.Home) -> None:
        inner = f"192.168.{number}.2" if home.router else f"10.0.1.{number + 1}"
        if home.router:
            self.network.add_router(inner, self._new_outer())
        entropy = SeededEntropy(chance(self.seed, f"phone {number}").getrandbits(32))
        phone = SimPhone(self, home.name, inner, home.kind, self.network, self.clock, entropy)
        phone.manner = lambda: self._manner(phone)
        self.phones.append(phone)

    def _new_outer(self) -> str:
        self._outer += 1
        return f"198.51.100.{self._outer}"

    def _manner(self, phone: SimPhone) -> Manner:
        manner = draws.draw_manner(self._manners)
        if manner.status == 302:
            target = manner.contact.partition(":")[2].partition("@")[0]
            self._forwards[phone.name].add(_account(target))
        return manner

    # --- life

    async def live(self) -> None:
        """Phones register, a few calls are placed in each other's way while things happen, and all comes to rest."""
        for phone in self.phones:
            phone.start()
        await self._settle_in()
        looking = asyncio.get_running_loop().create_task(self._look_on(), name="look on")
        befalling = asyncio.get_running_loop().create_task(self._befall(), name="befall")
        for plan, pause in draws.draw_plans(chance(self.seed, "plans")):
            self._place(plan)
            await asyncio.sleep(pause)
        await befalling
        for placed in self.placed:
            await placed.done.wait()
        for phone in self.phones:
            for leg in phone.open_legs:
                while not leg.ended and self.clock.now() - leg.began < 12_000:
                    await asyncio.sleep(1.0)
        await self._look()
        for phone in self.phones:
            if self._rng.random() < 0.3 and phone.registered:
                phone.leave()
            else:
                phone.fall_silent()
        await asyncio.sleep(QUIET)
        for phone in self.phones:
            phone.line.close()
        await asyncio.sleep(10.0)
        looking.cancel()
        await self._look()

    async def _settle_in(self) -> None:
        deadline = self.clock.now() + 300.0
        while not all(phone.registered for phone in self.phones):
            await asyncio.sleep(0.1)
            if self.clock.now() > deadline:
                self.watch.fault("a telephone cannot register")
                return

    def _place(self, plan: Plan) -> None:
        rng = self._rng
        phone = rng.choice(self.phones)
        self.calls_placed += 1
        if not phone.leaving:
            phone.call(plan)

    # --- what befalls

    async def _befall(self) -> None:
        began = self.clock.now()
        for happening in draws.draw_happenings(chance(self.seed, "befalls")):
            await asyncio.sleep(max(0.0, began + happening.after - self.clock.now()))
            await self._happen(happening)

    async def _happen(self, happening: Happening) -> None:
        start = self.clock.now()
        match happening.what:
            case "crash":
                self._crash()
                await self._back(happening.lasts / 4 + 1.0)
            case "stop" | "restart":
                await self._stop()
                if happening.what == "stop":
                    self.stopped = True
                else:
                    await self._back(happening.lasts / 4 + 1.0)
            case "worker":
                self.watch.note("the media worker dies")
                self.studio.die()
                return
            case "partition":
                await self._cut_off(happening.lasts)
            case "rebinding":
                await self._rebind(happening.lasts / 4)
            case "leaving":
                await self._leave_and_return(happening.lasts)
            case "strays":
                self._stray_packets()
                return
        for phone in self.phones:
            for leg in phone.open_legs:
                leg.miss(SILENCE)
        self.rough.append((start - 1.0, self.clock.now() + AFTERMATH))

    def _crash(self) -> None:
        if not self.server.up:
            return
        self.watch.note("the server is killed")
        self.server.kill()
        self.watch.server_gone(float("inf"))
        self.watch.crashed()
        self._lines_go_dead()

    async def _stop(self) -> None:
        if not self.server.up:
            return
        self.watch.note("the server is asked to stop")
        began = self.clock.now()
        await self.server.stop()
        self.watch.note("the server has stopped")
        self.watch.server_gone(self.clock.now() - began + 2.0)
        self._lines_go_dead()

    def _lines_go_dead(self) -> None:
        """Sooner or later people notice that nobody is there."""
        for phone in self.phones:
            for leg in phone.open_legs:
                leg.later(self._rng.uniform(3.0, 60.0), leg.give_up)

    async def _back(self, after: float) -> None:
        if self.server.up or self.stopped:
            return
        await asyncio.sleep(after)
        self.watch.note("the server starts again")
        await self.server.start()
        self.watch.server_up = True
        await asyncio.sleep(12.0)  # until the telephones with connections are back

    async def _cut_off(self, seconds: float) -> None:
        cut = self._rng.sample(self.phones, self._rng.randint(1, max(1, len(self.phones) // 2)))
        self.watch.note(f"cut off: {', '.join(phone.home for phone in cut)}")
        for phone in cut:
            self.network.cut.add(phone.home)
            self.network.sever(self.network.outer(phone.home))
        await asyncio.sleep(seconds)
        self.network.cut -= {phone.home for phone in cut}
        self.watch.note("nobody is cut off any more")
        await asyncio.sleep(12.0)

    async def _rebind(self, notice: float) -> None:
        hidden = [phone for phone in self.phones if self.network.outer(phone.home) != phone.home]
        if not hidden:
            return
        phone = self._rng.choice(hidden)
        outer = self.network.outer(phone.home) if self._rng.random() < 0.5 else self._new_outer()
        self.watch.note(f"the router of {phone.home} forgets its mappings; its address is {outer}")
        self.network.rebind(phone.home, outer)
        await asyncio.sleep(notice)
        phone.notice_rebinding()
        await asyncio.sleep(2.0)

    async def _leave_and_return(self, seconds: float) -> None:
        phone = self._rng.choice(self.phones)
        self.watch.note(f"{phone.home} unregisters")
        phone.leave()
        await asyncio.sleep(seconds)
        self.watch.note(f"{phone.home} comes back")
        phone.return_()

    def _stray_packets(self) -> None:
        """Single packets from a stranger to every open port: none of them may be believed."""
        for stream in list(self.studio.open_streams.values()):
            self.network.carry(b"\x80\0\0\1\0\0\0\0\xff\xff\xff\xff", STRANGER, stream.local)

    # --- looking on

    async def _look_on(self) -> None:
        began = self.clock.now()
        while True:
            await asyncio.sleep(LOOK if self.clock.now() - began < 240.0 else SELDOM)
            await self._look()

    async def _look(self) -> None:
        if self.server.up:
            self._look_for_registrations()
            self._look_for_stuck_calls()

    def _look_for_registrations(self) -> None:
        """Every registration that was acknowledged and has not run out is found."""
        house, now = self.house, self.clock.now()
        for name, listed in self.watch.contacts.items():
            account = house.directory.find_account(DOMAIN, name)
            if account is None or account.id in house.registrar._accounts_storing:
                continue
            known = {binding.contact for binding in house.bindings.known(account.id)}
            for contact, entry in listed.items():
                if entry.told[-1][1] > now + 2.0 and contact not in known:
                    self.watch.fault(f"{contact} of {name} was registered until {entry.told[-1][1]:.0f}, and is not")

    def _look_for_stuck_calls(self) -> None:
        ended = {placed.call_id: placed.ended_at for placed in self.placed if placed.ended_at is not None}
        for call in self.house.switchboard.exchange.calls.values():
            gone = ended.get(call.record.call_id)
            if gone is not None and self.clock.now() - gone > STUCK and not self._transfers():
                self.watch.fault(f"call {call.record.call_id[:8]} is there {STUCK:.0f} s after its caller has gone")

    # --- told by telephones and streams

    @property
    def patience(self) -> float:
        """After a transfer two may be left of whom neither has called."""
        return 150.0 if self._transfers() else 4 * 3600.0

    def press(self, leg: Leg, digit: str) -> None:
        stream = self.studio.facing(leg.port)
        if stream is not None:
            stream.press(digit)

    def voice(self, leg: Leg) -> None:
        self._voices[leg.ssrc] = leg

    def heard(self, leg: Leg, ssrc: int) -> None:
        """Somebody hears a voice for the first time: it must be that of who he talks to."""
        other = self._voices.get(ssrc)
        if other is None:
            self.watch.fault(f"{leg.phone.home} hears the voice of a stranger")
        elif other is not leg and not self._programs_or_transfers():
            caller, callee = (leg, other) if isinstance(leg, Placed) else (other, leg)
            if not (isinstance(caller, Placed) and isinstance(callee, Taken)):
                self.watch.fault(f"{leg.phone.home} hears {other.phone.home}, though neither has called the other")
            elif callee.phone.name not in self.reach(caller):
                self.watch.fault(f"{leg.phone.home} hears {other.phone.home}, who is not in this call")

    def _believed(self, stream: VirtualStream, source: Endpoint) -> None:
        """A stream takes a packet: it must come from the home that signalling named."""
        home = self.network.home(source[0])
        if stream.settings is not None and home != stream.settings.remote[0]:
            moved = any(start <= self.clock.now() <= end for start, end in self.rough) or source != STRANGER
            if not moved or source == STRANGER:
                self.watch.fault(f"the stream for {stream.settings.remote} believes {source}")

    def _transfers(self) -> bool:
        return any(placed.plan.transfer is not None for placed in self.placed)

    def _programs_or_transfers(self) -> bool:
        return self._transfers() or any(placed.plan.dialled in PROGRAMS and placed.plan.keys for placed in self.placed)

    def reach(self, placed: Placed) -> set[str]:
        """The accounts that this call may ring: who was dialled, and where their telephones send it."""
        found, left = set(), [_account(placed.plan.dialled)]
        while left:
            name = left.pop()
            if name not in found:
                found.add(name)
                left += self._forwards[name]
        return found

    def _may_ring(self, caller: str, destination: Endpoint) -> str:
        """What is wrong with an INVITE of that caller to that place; empty when nothing is."""
        home = self.network.home(destination[0])
        phone = next((each for each in self.phones if each.home == home), None)
        if phone is None:
            return "" if destination[0].startswith(("192.168.", "198.51.100.")) else f"nobody lives at {destination}"
        if self.clock.now() > phone.left_at + STRETCH:
            return f"rings {phone.home}, which has unregistered at {phone.left_at:.3f}"
        if self._programs_or_transfers():
            return ""
        for placed in self.placed:
            late = 0.0 if placed.ended_at is None else self.clock.now() - placed.ended_at
            if placed.phone.name == caller and late < AFTERMATH and phone.name in self.reach(placed):
                return ""
        return f"rings {phone.name}, whom {caller} has not called"


<<<<<<< HEAD
def _account(dialled: str) -> str:
    return next((name for name, number in PEOPLE.items() if dialled in (name, number)), dialled)
=======
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
>>>>>>> main
