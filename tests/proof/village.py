"""People at real sockets who call each other and the programs all day, one thing after another: as many calls as the
server has time for. Who hears 503 waits for as long as he is told, and calls again."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import Counter
from collections.abc import AsyncIterator

from base.clock import LoopClock
from base.entropy import SeededEntropy
from pbx.sipcore.message import Request
from tests.proof.street import Street
from tests.scenes.site import Site
from tests.simulation.answering import Manner
from tests.simulation.calling import Plan, Transfer
from tests.simulation.leg import Leg
from tests.simulation.phones import Kind, SimPhone

HOMES = (
    ("alice", Kind()),
    ("alice", Kind("tcp")),
    ("bob", Kind(reliable=True)),
    ("carol", Kind()),  # her calls go the proxy way
    ("dave", Kind("tcp")),  # by TLS
    ("erin", Kind("tcp", reliable=True)),
)
NUMBERS = {"alice": "201", "bob": "202", "carol": "203", "dave": "204", "erin": "205", "frank": "206"}
"""Frank has no telephone: his calls go to voicemail."""
LONGEST = 60.0
"""Seconds after which a call is over in any case."""
_FRAME, _LOUD, _POUND = 0.02, bytes(0x80 | (n % 8) for n in range(160)), b"\x0b\x8a\x03\x20"


class Village:
    """The town of the telephones. `told` counts the ends of calls: status, or what became of them."""

    patience = 20.0

    def __init__(self, site: Site, tls_port: int) -> None:
        self._chance = random.Random(7)
        self._clock = LoopClock(asyncio.get_running_loop())
        self._street = Street((site.host, site.sip_port), tls_port)
        self._talking: list[Leg] = []
        self.told: Counter[str] = Counter()
        self.phones: list[SimPhone] = []
        base = site.host.rpartition(".")[0]
        for number, (name, kind) in enumerate(HOMES):
            home = f"{base}.{200 + number}"
            if name == "dave":
                self._street.secure.add(home)
            phone = SimPhone(self, name, home, kind, self._street, self._clock, SeededEntropy(number))
            phone.manner = self._manner
            self.phones.append(phone)

    # --- what telephones tell

    def voice(self, leg: Leg) -> None:
        self._talking.append(leg)

    def heard(self, leg: Leg, ssrc: int) -> None:
        """(Real audio is not looked at here.)"""

    def press(self, leg: Leg, digit: str) -> None:
        """The one key that is used: it cuts a greeting."""
        leg.send(101, _POUND)

    def _manner(self, request: Request) -> Manner:
        chance = self._chance
        status = chance.choice((200, 200, 200, 200, 486, 480, 603))
        return Manner(status, chance.choice((0.0, 0.2, 1.0)), talk=chance.choice((0.2, 2.0, 20.0)))

    # --- life

    @contextlib.asynccontextmanager
    async def awake(self) -> AsyncIterator[None]:
        """Telephones register, and stay."""
        for phone in self.phones:
            phone.start()
        async with asyncio.timeout(60):
            while not all(phone.registered for phone in self.phones):
                await asyncio.sleep(0.1)
        talking = asyncio.create_task(self._talk())
        try:
            yield
        finally:
            talking.cancel()
            await self._forget(all_of_them=True)
            for phone in self.phones:
                phone.line.close()

    async def call(self) -> None:
        """One call of some kind, to its end; again after a refusal that names a time."""
        phone, plan = self._chance.choice(self.phones), self._plan()
        while True:
            placed = phone.call(plan)
            try:
                async with asyncio.timeout(LONGEST):
                    await placed.done.wait()
            except TimeoutError:
                self.told["endless"] += 1
                placed.give_up()
            self.told[str(placed.status)] += 1
            self.told["transfers"] += bool(placed.referred and placed.referred < 300)
            await self._forget()
            if placed.status != 503:
                return
            await asyncio.sleep(placed.retry_after or 1.0)

    async def rest(self) -> None:
        """Until nobody calls any more."""
        async with asyncio.timeout(2 * LONGEST):
            while any(phone.open_legs for phone in self.phones):
                await asyncio.sleep(0.5)
        await self._forget()

    def _plan(self) -> Plan:
        chance = self._chance
        kind = chance.random()
        if kind < 0.15:
            return Plan(NUMBERS["frank"], talk=6.0, keys=((0.8, "#"),))
        if kind < 0.3:
            return Plan(chance.choice(("200", "600", "299")), talk=1.0)
        other = chance.choice(tuple(NUMBERS.values())[:5])
        if kind < 0.4:
            return Plan(other, cancel=chance.choice((0.0, 0.1, 0.5)))
        if kind < 0.55:
            transfer = Transfer(0.3, chance.choice(tuple(NUMBERS.values())[:5]), chance.random() < 0.5)
            return Plan(other, talk=12.0, transfer=transfer)
        return Plan(other, talk=chance.choice((0.0, 0.5, 3.0)), holds=chance.choice(((), (), (0.2, 0.6))))

    async def _talk(self) -> None:
        """All who are in a call speak."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            for leg in self._talking:
                if leg.answered_at is not None and not leg.ended:
                    leg.send(0, _LOUD)
            due = max(due + _FRAME, loop.time())
            await asyncio.sleep(due - loop.time())

    async def _forget(self, *, all_of_them: bool = False) -> None:
        """Close the sockets of calls that are over."""
        for phone in self.phones:
            for leg in [leg for leg in phone.legs if leg.ended or all_of_them]:
                if all_of_them or self._clock.now() - (leg.ended_at or 0.0) > 5.0:
                    leg.over()
                    await leg.socket.close()
                    phone.legs.remove(leg)
        self._talking = [leg for leg in self._talking if not leg.ended]
