"""Three telephones of three makers behind one interface, so that each can take each part in a scene."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Protocol

from tests.interop.baresip import Baresip
from tests.interop.ear import Ear
from tests.interop.linphone import Linphone
from tests.interop.site import Everywhere
from tests.phone import TestPhone
from tests.scenes.site import DOMAIN


class Party(Protocol):
    """Somebody with a telephone, who speaks a tone of his own in all his calls."""

    ear: Ear
    asks: bool
    """The telephone can place a second call, and join the two (Replaces)."""

    async def calls(self, number: str) -> None: ...

    async def answers(self) -> None:
        """Wait for a call, and take it."""

    async def rings(self) -> None:
        """Wait for a call, and let it ring."""

    async def refuses(self) -> None: ...

    async def talks(self) -> None:
        """Wait until the call is answered."""

    async def asks_first(self, number: str) -> None:
        """Put the call on hold, and place a second one."""

    async def sends_on(self, number: str) -> None:
        """Send the other one of the only call there: blindly."""

    async def joins(self) -> None:
        """Send the other one of the first call into the second."""

    async def hangs_up(self) -> None: ...

    async def is_free(self) -> None:
        """Wait until all of his calls have ended."""


async def arrive(kind: str, name: str, site: Everywhere, password: str, folder: Path, speech: Path,
                 stack: AsyncExitStack) -> Party:  # fmt: skip
    """A party with a registered telephone: `pjsua2`, `baresip` or `linphone`."""
    if kind == "baresip":
        bare = await stack.enter_async_context(Baresip(name, folder, speech))
        await bare.start(site, password)
        return WithBaresip(bare)
    if kind == "linphone":
        lin = await stack.enter_async_context(Linphone(name, folder, speech))
        await lin.start(site, password)
        return WithLinphone(lin)
    phone = await stack.enter_async_context(await site.phone(name, password))
    await asyncio.to_thread(folder.mkdir)
    await phone.play(speech, loop=True)
    await phone.record(folder / "heard.wav")
    return WithPjsua(phone, folder / "heard.wav")


class WithPjsua:
    """pjsua2."""

    asks = True

    def __init__(self, phone: TestPhone, heard: Path) -> None:
        self._phone = phone
        self._ids: list[int] = []
        self.ear = Ear(lambda: [heard])

    async def calls(self, number: str) -> None:
        self._ids.append(await self._phone.call(f"sip:{number}@{DOMAIN}"))

    async def rings(self) -> None:
        self._ids.append(await self._phone.wait_incoming())
        await self._phone.ring(self._ids[-1])

    async def answers(self) -> None:
        if not self._ids:
            await self.rings()
        await self._phone.answer(self._ids[-1])

    async def refuses(self) -> None:
        await self.rings()
        await self._phone.answer(self._ids[-1], 486)

    async def talks(self) -> None:
        await self._phone.wait_state("confirmed", self._ids[-1])

    async def asks_first(self, number: str) -> None:
        await self._phone.hold(self._ids[0])
        await self.calls(number)

    async def sends_on(self, number: str) -> None:
        await self._phone.transfer(f"sip:{number}@{DOMAIN}", self._ids[0])

    async def joins(self) -> None:
        await self._phone.attended_transfer(self._ids[1], self._ids[0])

    async def hangs_up(self) -> None:
        await self._phone.hangup(self._ids[-1])

    async def is_free(self) -> None:
        for each in self._ids:
            await self._phone.wait_state("disconnected", each)


class WithBaresip:
    """baresip 1.0: it has no attended transfer."""

    asks = False

    def __init__(self, phone: Baresip) -> None:
        self._phone = phone
        self.ear = Ear(phone.heard)

    async def calls(self, number: str) -> None:
        await self._phone.call(number)

    async def rings(self) -> None:
        await self._phone.news.wait("CALL_INCOMING")

    async def answers(self) -> None:
        await self._phone.answer()

    async def refuses(self) -> None:
        await self.rings()
        await self._phone.hang_up()

    async def talks(self) -> None:
        await self._phone.connected()

    async def asks_first(self, number: str) -> None:
        raise NotImplementedError

    async def sends_on(self, number: str) -> None:
        await self._phone.command("transfer", f"sip:{number}@{DOMAIN}")

    async def joins(self) -> None:
        raise NotImplementedError

    async def hangs_up(self) -> None:
        await self._phone.hang_up()

    async def is_free(self) -> None:
        await self._phone.ended()


class WithLinphone:
    """Linphone's console program. Its calls have the numbers 1, 2 …"""

    asks = True

    def __init__(self, phone: Linphone) -> None:
        self._phone = phone
        self.ear = Ear(lambda: [phone.heard], (8000, 16000))  # that of the codec

    async def calls(self, number: str) -> None:
        await self._phone.call(number)

    async def rings(self) -> None:
        await self._phone.news.wait("CallIncomingReceived")

    async def answers(self) -> None:
        await self._phone.answer()

    async def refuses(self) -> None:
        await self.rings()
        await self._phone.type("terminate")

    async def talks(self) -> None:
        await self._phone.connected()

    async def asks_first(self, number: str) -> None:
        seen = len(self._phone.news.events)
        await self._phone.type("pause")
        await self._phone.news.wait("CallPaused", since=seen)
        await self._phone.call(number)

    async def sends_on(self, number: str) -> None:
        await self._phone.type(f"transfer sip:{number}@{DOMAIN}")

    async def joins(self) -> None:
        await self._phone.type("transfer 1 --to-call 2")

    async def hangs_up(self) -> None:
        await self._phone.hang_up()

    async def is_free(self) -> None:
        await self._phone.news.wait("CallReleased")
