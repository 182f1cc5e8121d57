"""Programs that answer, place, join and hand over calls."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import pytest

from base.failures import Failure
from directory.model import Account, CallRule, Redirect, Stage
from pbx.b2bua.exchange import CallSettings
from pbx.b2bua.program_leg import ProgramLeg
from pbx.programs import LegMode
from pbx.programs import ProgramLeg as AnyProgramLeg
from pbx.signal.port import Limits
from pbx.sipcore.session_ports import SessionTimers
from tests.pbx.b2bua.house import ALICE, BOB, CAROL, DOMAIN, T1, House


class Listener:
    """What a program heard, in order."""

    def __init__(self) -> None:
        self.events: list[tuple[object, ...]] = []
        self._news = asyncio.Event()

    def _add(self, *event: object) -> None:
        self.events.append(event)
        self._news.set()

    async def wait(self, *event: object) -> None:
        try:
            async with asyncio.timeout(3):
                while event not in self.events:
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            raise AssertionError(f"waited for {event}; heard {self.events}") from None

    def leg_digit(self, digit: str) -> None:
        self._add("digit", digit)

    def leg_disconnected(self) -> None:
        self._add("disconnected")

    def leg_provisioned(self, status: int) -> None:
        self._add("provisioned", status)

    def leg_completed(self, error: str | None) -> None:
        self._add("completed", error)

    def leg_info(self, content_type: str, body: bytes) -> None:
        self._add("info", content_type, body)

    def leg_transferred(self) -> None:
        self._add("transferred")

    def leg_played(self, play: int) -> None:
        self._add("played", play)

    def leg_recorded(self, record: int, cause: str, seconds: float) -> None:
        self._add("recorded", record, cause)

    def leg_unbridged(self) -> None:
        self._add("unbridged")


Script = Callable[[ProgramLeg, Listener], Awaitable[None]]


class Programs:
    """Runs Python scripts as programs."""

    def __init__(self, **scripts: Script) -> None:
        self._scripts = scripts
        self.tasks: list[asyncio.Task[None]] = []
        self.legs: list[ProgramLeg] = []
        self.listeners: list[Listener] = []

    def start(self, program: str, parameters: Sequence[str], account: Account, leg: AnyProgramLeg) -> None:
        if program not in self._scripts:
            raise Failure("not-found", "No such program")
        assert isinstance(leg, ProgramLeg)
        listener = Listener()
        leg.attach(listener)
        self.legs.append(leg)
        self.listeners.append(listener)

        async def run() -> None:
            await self._scripts[program](leg, listener)

        self.tasks.append(asyncio.get_running_loop().create_task(run()))

    async def done(self) -> None:
        async with asyncio.timeout(3):
            await asyncio.gather(*self.tasks)


async def test_a_program_answers_hears_digits_and_hangs_up() -> None:
    async def greeter(leg: ProgramLeg, heard: Listener) -> None:
        assert leg.mode is LegMode.INCOMING
        assert leg.request is not None
        assert leg.request.headers["subject"] == ("Hello",)
        assert leg.caller is not None
        assert leg.caller.account == BOB
        assert await leg.provision(180) is None
        assert await leg.accept() is None
        assert leg.mode is LegMode.CONNECTED
        assert leg.remote_uri == f"sip:bob@{DOMAIN}"
        await heard.wait("digit", "5")
        await heard.wait("digit", "#")
        leg.disconnect()

    async with House() as house:
        programs = Programs(greeter=greeter)
        house.board.attach(programs)
        bob = house.phone(BOB)
        bob.call(f"sip:greeter@{DOMAIN}", Subject="Hello")
        await bob.response(180)
        await bob.response(200)
        bob.send("ACK")
        while not house.studio.streams:
            await asyncio.sleep(0)
        house.studio.streams[0].listener.media_digit("5", 100)
        bob.send("INFO", b"Signal=11\r\n", "application/dtmf-relay")
        await bob.response(200, "INFO")
        bob.answer(await bob.request("BYE"), 200)
        await programs.done()
        record = await house.record()
        assert (record.program, record.ended_by, record.outcome) == ("greeter", "callee", "answered")


async def test_a_program_refuses_and_one_that_is_missing() -> None:
    async def greeter(leg: ProgramLeg, heard: Listener) -> None:
        leg.reject(486)

    async with House() as house:
        house.board.attach(Programs(greeter=greeter))
        bob = house.phone(BOB)
        bob.call(f"sip:greeter@{DOMAIN}")
        await bob.response(486)
        await house.record()
    async with House() as house:
        house.board.attach(Programs())
        bob = house.phone(BOB)
        bob.call(f"sip:greeter@{DOMAIN}")
        await bob.response(404)


async def test_the_caller_cancels_while_the_program_rings() -> None:
    async def greeter(leg: ProgramLeg, heard: Listener) -> None:
        await leg.provision(180)
        await heard.wait("disconnected")
        assert leg.mode is LegMode.DISCONNECTED
        assert await leg.accept() is not None

    async with House() as house:
        programs = Programs(greeter=greeter)
        house.board.attach(programs)
        bob = house.phone(BOB)
        bob.call(f"sip:greeter@{DOMAIN}")
        await bob.response(180)
        bob.cancel()
        await bob.response(487)
        await programs.done()
        assert (await house.record()).outcome == "cancelled"


async def test_early_audio_of_a_program() -> None:
    async def greeter(leg: ProgramLeg, heard: Listener) -> None:
        assert await leg.provision(183, media=True) is None
        assert leg.mode is LegMode.PROVISIONED
        leg.tone(425, 1.0)
        assert await leg.accept() is None

    async with House() as house:
        programs = Programs(greeter=greeter)
        house.board.attach(programs)
        bob = house.phone(BOB)
        bob.call(f"sip:greeter@{DOMAIN}")
        early = await bob.response(183)
        assert early.body
        final = await bob.response(200)
        assert final.body == early.body
        bob.send("ACK")
        await programs.done()
        assert house.studio.streams[0].played == ["425"]


async def test_the_attendant_connects_a_caller() -> None:
    async def greeter(leg: ProgramLeg, heard: Listener) -> None:
        await leg.accept()
        other = house.board.new_leg(ALICE, leg)
        outcome = Listener()
        other.attach(outcome)
        assert other.start_call("carol", {"From": '"Bob" <sip:bob@tandem.test>', "Expires": "15"}) is None
        await outcome.wait("provisioned", 180)
        await outcome.wait("completed", None)
        assert await leg.bridge(other) is None
        await outcome.wait("disconnected")
        await heard.wait("unbridged")
        leg.disconnect()

    async with House() as house:
        programs = Programs(greeter=greeter)
        house.board.attach(programs)
        bob, carol = house.phone(BOB), house.phone(CAROL)
        bob.call(f"sip:greeter@{DOMAIN}")
        await bob.response(200)
        bob.send("ACK")
        invite = await carol.request("INVITE")
        assert invite.from_.display == "Bob"
        carol.answer(invite, 180)
        carol.answer(invite, 200, carol.sdp(codecs="8 101"))
        await carol.request("ACK")
        while house.studio.streams[0].other is None:
            await asyncio.sleep(0)
        carol.takes(invite)
        carol.send("BYE")
        await carol.response(200, "BYE")
        await bob.request("BYE")
        await programs.done()
        while len(house.book.records) < 2:
            await asyncio.sleep(0.01)
        assert {record.outcome for record in house.book.records} == {"answered"}


@pytest.mark.parametrize("status", [486, 404])
async def test_a_placed_call_that_fails_is_told_once(status: int) -> None:
    async with House() as house:
        carol = house.phone(CAROL)
        leg, heard = house.board.new_leg(ALICE), Listener()
        leg.attach(heard)
        leg.start_call("carol", {})
        carol.answer(await carol.request("INVITE"), status)
        await heard.wait("completed", {486: "486 Busy Here", 404: "404 Not Found"}[status])
        assert leg.mode is LegMode.DISCONNECTED
        assert len(heard.events) == 1


async def test_a_placed_call_is_taken_back() -> None:
    async with House() as house:
        carol = house.phone(CAROL)
        leg, heard = house.board.new_leg(ALICE), Listener()
        leg.attach(heard)
        leg.start_call("carol", {})
        invite = await carol.request("INVITE")
        carol.answer(invite, 180)
        await heard.wait("provisioned", 180)
        leg.cancel_call()
        carol.answer(await carol.request("CANCEL"), 200)
        carol.answer(invite, 487)
        await carol.request("ACK")
        assert [event[0] for event in heard.events] == ["provisioned"]


async def test_a_ring_limit() -> None:
    async with House() as house:
        carol = house.phone(CAROL)
        leg, heard = house.board.new_leg(ALICE), Listener()
        leg.attach(heard)
        leg.start_call("carol", {"Expires": "0.1"})
        carol.answer(await carol.request("INVITE"), 180)
        await heard.wait("completed", "408 Request Timeout")
        await carol.request("CANCEL")


async def test_a_program_calls_a_program() -> None:
    async def box(leg: ProgramLeg, heard: Listener) -> None:
        assert await leg.accept() is None
        await heard.wait("disconnected")

    async with House() as house:
        programs = Programs(box=box)
        house.board.attach(programs)
        leg, heard = house.board.new_leg(ALICE), Listener()
        leg.attach(heard)
        assert leg.start_call("#box", {}) is None
        await heard.wait("completed", None)
        near, far = house.studio.streams
        assert near.settings is not None
        assert far.settings is not None
        assert (near.settings.remote, far.settings.remote) in (
            (far.local, near.local),
            (near.local, far.local),
        )
        leg.disconnect()
        await programs.done()
        await house.record()
        assert house.studio.loaded() == 0


async def test_digits_of_an_outside_caller_stay_inside() -> None:
    """Decision 4."""
    async with House() as house:
        outside = ProgramLeg(house.exchange, ALICE, proved=False)
        leg = house.board.new_leg(ALICE, outside)
        assert leg.start_call("4930123@pstn.example", {}) == "403 Forbidden"
        assert await leg.transfer("4930123@pstn.example") is not None
        assert house.metrics.value("calls.outside-refused") == 1


async def test_a_program_hands_over_and_rings_others() -> None:
    async def greeter(leg: ProgramLeg, heard: Listener) -> None:
        leg.redirect(["carol"])
        assert leg.mode is LegMode.DISCONNECTED

    async with House() as house:
        house.board.attach(Programs(greeter=greeter))
        bob, carol = house.phone(BOB), house.phone(CAROL)
        bob.call(f"sip:greeter@{DOMAIN}")
        invite = await carol.request("INVITE")
        carol.answer(invite, 200, carol.sdp())
        await bob.response(200)
        bob.send("ACK")
        await carol.request("ACK")
        assert len(house.board.live()) == 1


async def test_voicemail_takes_over_when_a_phone_is_busy() -> None:
    async def voicemail(leg: ProgramLeg, heard: Listener) -> None:
        assert leg.account == BOB
        assert await leg.accept() is None
        await heard.wait("disconnected")

    async with House() as house:
        programs = Programs(voicemail=voicemail)
        house.board.attach(programs)
        house.town.rules[BOB.id] = [CallRule(Stage.BUSY, Redirect(("#voicemail",)))]
        alice, bob = house.phone(ALICE), house.phone(BOB)
        alice.call(f"sip:bob@{DOMAIN}")
        bob.answer(await bob.request("INVITE"), 486)
        await alice.response(200)
        alice.send("ACK")
        alice.send("BYE")
        await programs.done()
        record = await house.record()
        assert (record.program, record.callee, record.outcome) == ("voicemail", BOB.address, "answered")


async def test_a_caller_in_a_program_is_transferred() -> None:
    async def greeter(leg: ProgramLeg, heard: Listener) -> None:
        await leg.accept()
        assert await leg.transfer("carol") is None
        await heard.wait("disconnected")

    async with House() as house:
        programs = Programs(greeter=greeter)
        house.board.attach(programs)
        bob, carol = house.phone(BOB), house.phone(CAROL)
        bob.call(f"sip:greeter@{DOMAIN}")
        await bob.response(200)
        bob.send("ACK")
        invite = await carol.request("INVITE")
        carol.answer(invite, 200, carol.sdp())
        await carol.request("ACK")
        bob.answer(await bob.request("INVITE"), 200, bob.sdp())
        await programs.done()
        while house.studio.streams[0].other is None:
            await asyncio.sleep(0.005)


async def test_a_caller_that_vanished_is_hung_up() -> None:
    async def greeter(leg: ProgramLeg, heard: Listener) -> None:
        await leg.accept()
        await heard.wait("disconnected")

    settings = CallSettings(silence=0.1, timers=SessionTimers(T1, 4 * T1), signal=Limits(drain=0.2))
    async with House(settings) as house:
        programs = Programs(greeter=greeter)
        house.board.attach(programs)
        bob = house.phone(BOB)
        bob.call(f"sip:greeter@{DOMAIN}")
        await bob.response(200)
        bob.send("ACK")
        await bob.request("BYE")
        await programs.done()
        record = await house.record()
        assert (record.ended_by, record.cause) == ("server", "no RTP")


async def test_shutdown_tells_the_program() -> None:
    async def greeter(leg: ProgramLeg, heard: Listener) -> None:
        await leg.accept()
        await heard.wait("disconnected")

    async with House() as house:
        programs = Programs(greeter=greeter)
        house.board.attach(programs)
        bob = house.phone(BOB)
        bob.call(f"sip:greeter@{DOMAIN}")
        await bob.response(200)
        bob.send("ACK")
        await house.board.close(0.2)
        await bob.request("BYE")
        await programs.done()
