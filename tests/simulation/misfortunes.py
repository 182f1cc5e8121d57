"""What befalls a simulated town: the server is killed or stopped, telephones are cut off or leave, routers forget.

Which of it happens, and when, is drawn in `draws`.
"""

from __future__ import annotations

import asyncio
from random import Random
from typing import TYPE_CHECKING

from tests.simulation import draws
from tests.simulation.draws import Happening, chance
from tests.simulation.network import STRANGER

if TYPE_CHECKING:
    from tests.simulation.town import Town

SILENCE = 90.0
"""Seconds without a word after which people hang up, when something has befallen the town."""
AFTERMATH = 40.0
"""Seconds after something has befallen the town in which calls are still shaped by it (64*T1 and a little)."""


class Misfortunes:
    """Those of one town. `rough`: from when until when something befell it; `kills`: when the server was killed."""

    def __init__(self, town: Town, rng: Random) -> None:
        self._town = town
        self._rng = rng
        self.rough: list[tuple[float, float]] = []
        self.kills: list[float] = []
        self.stopped = False

    async def befall(self) -> None:
        began = self._town.clock.now()
        for happening in draws.draw_happenings(chance(self._town.seed, "befalls")):
            await asyncio.sleep(max(0.0, began + happening.after - self._town.clock.now()))
            await self._happen(happening)

    async def _happen(self, happening: Happening) -> None:
        start = self._town.clock.now()
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
                self._town.watch.note("the media worker dies")
                self._town.studio.die()
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
        for phone in self._town.phones:
            for leg in phone.open_legs:
                leg.miss(SILENCE)
        self.rough.append((start - 1.0, self._town.clock.now() + AFTERMATH))

    def _crash(self) -> None:
        if not self._town.server.up:
            return
        self._town.watch.note("the server is killed")
        self._town.server.kill()
        self.kills.append(self._town.clock.now())
        self._town.watch.server_gone(float("inf"))
        self._town.watch.crashed()
        self._lines_go_dead()

    async def _stop(self) -> None:
        if not self._town.server.up:
            return
        self._town.watch.note("the server is asked to stop")
        began = self._town.clock.now()
        await self._town.server.stop()
        self._town.lamps.forsake()
        self._town.watch.note("the server has stopped")
        self._town.watch.server_gone(self._town.clock.now() - began + 2.0)
        self._lines_go_dead()

    def _lines_go_dead(self) -> None:
        """Sooner or later people notice that nobody is there."""
        for phone in self._town.phones:
            for leg in phone.open_legs:
                leg.later(self._rng.uniform(3.0, 60.0), leg.give_up)

    async def _back(self, after: float) -> None:
        if self._town.server.up or self.stopped:
            return
        await asyncio.sleep(after)
        self._town.watch.note("the server starts again")
        await self._town.server.start()
        self._town.watch.server_up = True
        await asyncio.sleep(12.0)  # until the telephones with connections are back

    async def _cut_off(self, seconds: float) -> None:
        cut = self._rng.sample(self._town.phones, self._rng.randint(1, max(1, len(self._town.phones) // 2)))
        self._town.watch.note(f"cut off: {', '.join(phone.home for phone in cut)}")
        self._town.lamps.astray.update(cut)
        for phone in cut:
            self._town.network.cut.add(phone.home)
            self._town.network.sever(self._town.network.outer(phone.home))
        await asyncio.sleep(seconds)
        self._town.network.cut -= {phone.home for phone in cut}
        self._town.watch.note("nobody is cut off any more")
        await asyncio.sleep(12.0)

    async def _rebind(self, notice: float) -> None:
        hidden = [phone for phone in self._town.phones if self._town.network.outer(phone.home) != phone.home]
        if not hidden:
            return
        phone = self._rng.choice(hidden)
        self._town.lamps.astray.add(phone)
        outer = self._town.network.outer(phone.home) if self._rng.random() < 0.5 else self._town.new_outer()
        self._town.watch.note(f"the router of {phone.home} forgets its mappings; its address is {outer}")
        self._town.network.rebind(phone.home, outer)
        await asyncio.sleep(notice)
        phone.notice_rebinding()
        await asyncio.sleep(2.0)

    async def _leave_and_return(self, seconds: float) -> None:
        phone = self._rng.choice(self._town.phones)
        self._town.watch.note(f"{phone.home} unregisters")
        phone.leave()
        await asyncio.sleep(seconds)
        self._town.watch.note(f"{phone.home} comes back")
        phone.return_()

    def _stray_packets(self) -> None:
        """Single packets from a stranger to every open port: none of them may be believed."""
        for stream in list(self._town.studio.open_streams.values()):
            self._town.watch.note(f"a stranger sends a packet to {stream.local[0]}:{stream.local[1]}")
            self._town.network.arrive(b"\x80\0\0\1\0\0\0\0\xff\xff\xff\xff", STRANGER, stream.local)
