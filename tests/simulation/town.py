"""A whole server and its telephones in one process and in virtual time, all from one seed: what happens there.

What must hold is in `watch` (on the wire), here (where objects must be looked at while the town lives) and in `checks`
(when all has come to rest).
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from base.entropy import SeededEntropy
from pbx.presence.table import Kept
from pbx.records.record import CallRecord
from pbx.sipcore.message import Request
from pbx.transport.network import Endpoint
from server.house import House
from tests.simulation import draws
from tests.simulation.answering import Manner, Taken
from tests.simulation.calling import Placed, Plan
from tests.simulation.clock import VirtualClock
from tests.simulation.draws import PEOPLE, PROGRAMS, Happening, chance
from tests.simulation.lamps import is_told, kept_of, untrue
from tests.simulation.leg import Leg
from tests.simulation.network import STRANGER, TownNetwork, Weather
from tests.simulation.phones import DOMAIN, SimPhone
from tests.simulation.server import Server
from tests.simulation.studio import VirtualStream, VirtualStudio
from tests.simulation.subscribing import Subscriber
from tests.simulation.watch import STRETCH, Watch

QUIET = 700.0
"""After the last call: every timer of the transactions, sessions and programs has run out."""
LOOK = 5.0
"""Seconds between two looks into the server; later, when little happens, `SELDOM`."""
SELDOM = 60.0
SILENCE = 90.0
"""Seconds without a word after which people hang up, when something has befallen the town."""
STUCK = 260.0
"""Seconds after which the server has noticed that a caller has gone: his BYE, or else 60-120 s of silence; on hold with
voicemail he is recorded for 180 s, and asked three times what is to be done."""
LONGEST = 12_600.0
"""Seconds after which whoever is still in a call has been forgotten there by the server."""
PATIENT = 14_400.0
"""Seconds that somebody who is called talks at most: over `LONGEST`, so as not to hide a BYE that never came."""
AFTERMATH = 40.0
"""Seconds after something has befallen the town in which calls are still shaped by it (64*T1 and a little)."""


class Town:
    """The server, its people and the network."""

    def __init__(self, seed: int, folder: Path, contents: Mapping[str, bytes]) -> None:
        self.seed, self.folder = seed, folder
        self.clock = VirtualClock()
        self.watch = Watch(self.clock, self._may_ring)
        weather = Weather.drawn(chance(seed, "weather"))
        self.network = TownNetwork(self.clock, chance(seed, "network"), weather, self.watch.see)
        self.studio = VirtualStudio(self.clock, self.network, self._believed)
        self.server = Server(seed, folder, self.clock, self.network, self.studio, contents)
        self.phones: list[SimPhone] = []
        self.rough: list[tuple[float, float]] = []
        """From when until when something befell the town."""
        self.kills: list[float] = []
        """When the server was killed."""
        self.stopped = False
        self.calls_placed = 0
        self._rng = chance(seed, "happenings")
        self._manners = chance(seed, "manners")
        self._forwards: dict[str, set[str]] = defaultdict(set)
        self._voices: dict[int, Leg] = {}
        self._outer = 0
        self._astray: set[SimPhone] = set()
        """Telephones whose way from the server was lost for a while."""

    @property
    def house(self) -> House:
        return self.server.house

    @property
    def placed(self) -> list[Placed]:
        return [placed for phone in self.phones for placed in phone.placed]

    @property
    def subscribers(self) -> list[Subscriber]:
        return [each for phone in self.phones for each in phone.subscribers]

    async def messages(self) -> int:
        """Voice messages in all mailboxes; what nobody has opened since the founding is as empty as it was."""
        total = 0
        for account in self.house.directory.accounts():
            if self.server.databases.opened(account.id):
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
                value = rng.choice(choice)
                if value != directory.setting(account.id, key):
                    wanted.append(directory.set_setting(account.id, key, value))
        await asyncio.gather(*wanted)
        for number, home in enumerate(draws.draw_homes(chance(self.seed, "homes"))):
            self._add_phone(number, home)
        for number, wish in draws.draw_wishes(chance(self.seed, "wishes"), len(self.phones)):
            phone = self.phones[number]
            watched = phone.name if wish.event == "message-summary" else wish.watched
            phone.subscribers.append(Subscriber(phone, replace(wish, watched=watched)))

    def _add_phone(self, number: int, home: draws.Home) -> None:
        inner = f"192.168.{number}.2" if home.router else f"10.0.1.{number + 1}"
        if home.router:
            self.network.add_router(inner, self._new_outer())
        entropy = SeededEntropy(chance(self.seed, f"phone {number}").getrandbits(32))
        phone = SimPhone(self, home.name, inner, home.kind, self.network, self.clock, entropy)
        phone.manner = lambda request: self._manner(phone, request)
        self.phones.append(phone)

    def _new_outer(self) -> str:
        self._outer += 1
        return f"198.51.100.{self._outer}"

    def _manner(self, phone: SimPhone, request: Request) -> Manner:
        manner = draws.draw_manner(self._manners)
        if self._to_last(phone, request):
            return Manner(talk=PATIENT)
        if manner.status == 302:
            target = manner.contact.partition(":")[2].partition("@")[0]
            self._forwards[phone.name].add(_account(target))
        return manner

    def _to_last(self, phone: SimPhone, request: Request) -> bool:
        """Is it a call of hours that rings there?"""
        caller = request.get("From") or ""
        return any(
            placed.plan.lasting and not placed.status and f":{placed.phone.name}@" in caller
            for placed in self.placed
            if phone.name in self.reach(placed)
        )

    # --- life

    async def live(self) -> None:
        """Phones register, a few calls are placed in each other's way while things happen, and all comes to rest."""
        for phone in self.phones:
            phone.start()
        await self._settle_in()
        for subscriber in self.subscribers:
            subscriber.start()
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
                while not leg.ended and self.clock.now() - leg.began < LONGEST:
                    await asyncio.sleep(1.0)
        await self._look()
        await self._quiet_lamps()
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
        self.kills.append(self.clock.now())
        self.watch.server_gone(float("inf"))
        self.watch.crashed()
        self._lines_go_dead()

    async def _stop(self) -> None:
        if not self.server.up:
            return
        self.watch.note("the server is asked to stop")
        began = self.clock.now()
        await self.server.stop()
        for subscriber in self.subscribers:
            subscriber.until = 0.0  # they were told to come again, whether they have heard it or not
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
        self._astray.update(cut)
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
        self._astray.add(phone)
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
            self.watch.note(f"a stranger sends a packet to {stream.local[0]}:{stream.local[1]}")
            self.network.arrive(b"\x80\0\0\1\0\0\0\0\xff\xff\xff\xff", STRANGER, stream.local)

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
            self._look_at_lamps()

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

    def _look_at_lamps(self) -> None:
        """Each subscription that was acknowledged is there, and who has it knows the last state or is being told."""
        for each in self.subscribers:
            kept = None if each.id is None else kept_of(self.house, each.id)
            if kept is None:
                if each.until > self.clock.now() + 2.0 and self._firm(each):
                    self.watch.fault(f"{each} was promised until {each.until:.0f}, and is not there")
            elif not (wrong := self._wrong(each, kept)):
                each.doubted = -1
            elif each.doubted == each.heard:
                self.watch.fault(f"{each} {wrong}")
            else:
                each.doubted = each.heard

    def _wrong(self, subscriber: Subscriber, kept: Kept) -> str:
        if kept.subscription.asleep:  # a telephone with a connection has to come back by itself
            return "is never told" if self._firm(subscriber) else ""
        if not (is_told(kept) and subscriber.until):
            return ""
        now = untrue(self.house, kept, subscriber.known)
        return f"was told {subscriber.known}, and it is {now}" if now else ""

    def _firm(self, subscriber: Subscriber) -> bool:
        """Nothing can have kept its NOTIFYs from it for as long as a server tries."""
        phone = subscriber.phone
        return self.network.weather.calm and phone.kind.transport == "udp" and phone not in self._astray

    async def _quiet_lamps(self) -> None:
        """Nobody calls any more: in a while all who watch know that."""
        deadline = self.clock.now() + 120.0
        while self.server.up and (untold := [each for each in self.subscribers if not self._is_told(each)]):
            await asyncio.sleep(1.0)
            if self.clock.now() > deadline:
                self.watch.fault(f"{untold[0]} is still being told")
                return
        if self.subscribers:
            await self._look()
            await asyncio.sleep(2.0)
            await self._look()

    def _is_told(self, subscriber: Subscriber) -> bool:
        kept = None if subscriber.id is None else kept_of(self.house, subscriber.id)
        return kept is None or is_told(kept)

    # --- told by telephones and streams

    @property
    def patience(self) -> float:
        """After a transfer two may be left of whom neither has called."""
        return 150.0 if self._transfers() else PATIENT

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


def _account(dialled: str) -> str:
    return next((name for name, number in PEOPLE.items() if dialled in (name, number)), dialled)
