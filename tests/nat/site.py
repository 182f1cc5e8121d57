"""A whole server in a namespace, and telephones in others; who hears whom is measured by tones."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.nat.world import Host
from tests.phone import TestPhone
from tests.scenes.site import DOMAIN, Site
from tests.tones import make_tone, seconds_heard

CALLER, CALLEE = 440.0, 620.0

_READ_SOUND = """
import email, imaplib, sys, time
port, name, password, path = sys.argv[1:]
until = time.monotonic() + 15
while time.monotonic() < until:
    with imaplib.IMAP4("127.0.0.1", int(port), timeout=10) as client:
        client.login(name, password)
        client.select("INBOX", readonly=True)
        found = client.search(None, "ALL")[1][0].split()
        body = client.fetch(found[-1].decode(), "(BODY.PEEK[])")[1][0][1] if found else b""
    for part in email.message_from_bytes(body).walk():
        if part.get_content_type() == "audio/wav":
            open(path, "wb").write(part.get_payload(decode=True))
            sys.exit(0)
    time.sleep(0.2)
sys.exit(1)
"""


class NatSite(Site):
    """`tandem serve` on the machine `machine`, listening on all of its addresses."""

    def __init__(self, data: Path, machine: Host, settings: str = "") -> None:
        super().__init__(data, settings)
        self.host = machine.address
        self.before = machine.before
        self.sip_port = 5060

    def _configuration(self) -> str:
        return super()._configuration().replace(self.host, "0.0.0.0")

    async def phone_at(
        self, name: str, machine: Host, *, server: str = "", timeout: float = 10.0, **settings: object
    ) -> TestPhone:
        """A telephone on a machine that knows nothing of routers, registered here with its demo account."""
        phone = TestPhone(name, netns=machine.name, timeout=timeout)
        await phone.start(
            f"{name}@{DOMAIN}",
            await self.password(name),
            server or self.host,
            self.sip_port,
            bind=machine.address,
            **{"naive": True, **settings},
        )
        return phone

    async def save_message(self, name: str, password: str, path: Path) -> None:
        """The sound of the newest message of an account, once there is one; read where the server is."""
        process = await asyncio.create_subprocess_exec(
            *self.before, sys.executable, "-c", _READ_SOUND, str(self.imap_port), name, password, str(path)
        )
        assert await asyncio.wait_for(process.wait(), 30) == 0, "no message came"


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
    await talk.alice.hold_and_resume(talk.call)
