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
from pbx.records.record import CallRecord
from pbx.sipcore.message import Request
from pbx.transport.network import Endpoint
from server.house import House
from tests.simulation import draws
from tests.simulation.answering import Manner, Taken
from tests.simulation.calling import Placed, Plan
from tests.simulation.clock import VirtualClock
from tests.simulation.draws import PEOPLE, PROGRAMS, chance
from tests.simulation.lamps import Lamps
from tests.simulation.leg import Leg
from tests.simulation.misfortunes import AFTERMATH, Misfortunes
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
STUCK = 260.0
"""Seconds after which the server has noticed that a caller has gone: his BYE, or else 60-120 s of silence; on hold with
voicemail he is recorded for 180 s, and asked three times what is to be done."""
LONGEST = 12_600.0
"""Seconds after which whoever is still in a call has been forgotten there by the server."""
PATIENT = 14_400.0
"""Seconds that somebody who is called talks at most: over `LONGEST`, so as not to hide a BYE that never came."""


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
        self._rng = chance(seed, "happenings")
        self.lamps = Lamps(self)
        self.misfortunes = Misfortunes(self, self._rng)
        self.calls_placed = 0
        self._manners = chance(seed, "manners")
        self._forwards: dict[str, set[str]] = defaultdict(set)
        self._voices: dict[int, Leg] = {}
        self._outer = 0

    @property
    def house(self) -> House:
        return self.server.house

    @property
    def placed(self) -> list[Placed]:
        return [placed for phone in self.phones for placed in phone.placed]

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
        recorded = chance(self.seed, "recorded")
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
            if recorded.random() < 0.3:
                wanted.append(directory.set_setting(account.id, "RecordAlways", "YES"))
                wanted.append(
                    directory.set_setting(account.id, "RecordAnnounce", recorded.choice(("", "recordingbeep")))
                )
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
            self.network.add_router(inner, self.new_outer())
        entropy = SeededEntropy(chance(self.seed, f"phone {number}").getrandbits(32))
        phone = SimPhone(self, home.name, inner, home.kind, self.network, self.clock, entropy)
        phone.manner = lambda request: self._manner(phone, request)
        self.phones.append(phone)

    def new_outer(self) -> str:
        """An address of the world for a router."""
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
        self.lamps.light()
        looking = asyncio.get_running_loop().create_task(self._look_on(), name="look on")
        befalling = asyncio.get_running_loop().create_task(self.misfortunes.befall(), name="befall")
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
        await self.lamps.settle()
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
            self.lamps.look()

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
            moved = any(start <= self.clock.now() <= end for start, end in self.misfortunes.rough) or source != STRANGER
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
