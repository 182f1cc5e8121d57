"""A whole server in a namespace, and telephones in others; who hears whom is measured by tones."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.nat.world import Host
from tests.phone import TestPhone
from tests.scenes.site import DOMAIN, Site
from tests.tones import make_tone, seconds_heard

CALLER, CALLEE = 440.0, 620.0


class NatSite(Site):
    """`tandem serve` on the machine `machine`, listening on all of its addresses."""

    def __init__(self, data: Path, machine: Host, settings: str = "") -> None:
        super().__init__(data, settings)
        self.host = machine.address
        self.before = machine.before
        self.sip_port = 5060

    def _configuration(self) -> str:
        return super()._configuration().replace(self.host, "0.0.0.0")

    async def phone_at(self, name: str, machine: Host, *, server: str = "", **settings: object) -> TestPhone:
        """A telephone on a machine that knows nothing of routers, registered here with its demo account."""
        phone = TestPhone(name, netns=machine.name)
        await phone.start(
            f"{name}@{DOMAIN}",
            await self.password(name),
            server or self.host,
            self.sip_port,
            bind=machine.address,
            **{"naive": True, **settings},
        )
        return phone


@dataclass(slots=True)
class Conversation:
    """A call of alice with bob that is up; both speak and are recorded."""

    alice: TestPhone
    bob: TestPhone
    call: int
    ringing: int
    folder: Path

    async def hear(self, seconds: float = 1.5) -> None:
        """Wait until both have had so much more audio."""
        await self.alice.listen(seconds, self.call)
        await self.bob.listen(seconds, self.ringing)

    def heard_by_alice(self) -> float:
        return seconds_heard(self.folder / "alice.wav", CALLEE)

    def heard_by_bob(self) -> float:
        return seconds_heard(self.folder / "bob.wav", CALLER)


@asynccontextmanager
async def conversation(alice: TestPhone, bob: TestPhone, folder: Path) -> AsyncIterator[Conversation]:
    """Alice calls 202, bob answers; at the end alice hangs up and the recordings are closed."""
    async with alice, bob:
        await alice.play(make_tone(folder / "caller.wav", CALLER, seconds=30))
        await bob.play(make_tone(folder / "callee.wav", CALLEE, seconds=30))
        await alice.record(folder / "alice.wav")
        await bob.record(folder / "bob.wav")
        call = await alice.call(f"sip:202@{DOMAIN}")
        ringing = await bob.wait_incoming()
        await bob.ring(ringing)
        await alice.wait_state("early", call)
        await bob.answer(ringing)
        await alice.wait_state("confirmed", call)
        await bob.wait_state("confirmed", ringing)
        yield Conversation(alice, bob, call, ringing, folder)
        await alice.hangup(call)
        await alice.wait_state("disconnected", call)
        await bob.wait_state("disconnected", ringing)
        await alice.stop_record()
        await bob.stop_record()


async def hold_and_resume(talk: Conversation) -> None:
    """Alice holds the call, bob hears of it, and she takes it back: two re-INVITEs through every router."""
    since = len(talk.alice.events)
    await talk.alice.hold(talk.call)
    await talk.alice.wait("media", where=lambda event: not event["active"], since=since)
    since = len(talk.alice.events)
    await talk.alice.resume(talk.call)
    await talk.alice.wait("media", where=lambda event: bool(event["active"]), since=since)
