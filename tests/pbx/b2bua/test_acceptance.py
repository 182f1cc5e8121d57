"""A line that answers by itself, rung beside other telephones: a key decides whether the call is its callee's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from base.storage.inline import InlineDatabases
from directory.model import Account, CallRule, Fork, Redirect, Stage
from directory.secrets import Keyring
from pbx.b2bua import acceptance
from pbx.mediaproxy.engine import Clip
from pbx.sipcore.message import Request
from pbx.trunk.model import Trunk
from pbx.trunk.trunks import Trunks
from tests.pbx.b2bua.house import ALICE, BOB, DOMAIN, House, Phone, Stream
from tests.pbx.b2bua.test_replaces import until

MOBILE = "5551234567@line"


@dataclass
class Scene:
    """Alice calls Bob, whose desk telephone rings, and by a rule the mobile by way of the gateway."""

    house: House
    alice: Phone
    desk: Phone
    gateway: Phone
    at_desk: Request
    at_gateway: Request

    async def seized(self) -> Stream:
        """The gateway answers; its stream."""
        self.gateway.takes(self.at_gateway)
        self.gateway.answer(self.at_gateway, 200, self.gateway.sdp(6000))
        await self.gateway.request("ACK")
        return next(each for each in self.house.studio.streams if each.played)

    async def rings_on(self) -> None:
        """Bob's desk telephone was not cancelled: he can still take the call."""
        assert not self.desk.inbox
        self.desk.answer(self.at_desk, 200, self.desk.sdp(5000))
        await self.alice.response(200)
        self.alice.send("ACK")
        await self.desk.request("ACK")


async def gateway_of(house: House, supervision: str = "key", tone: str = "us") -> tuple[Phone, InlineDatabases]:
    house.exchange.sound = lambda name, account: Clip(Path(name), name)
    gateway = house.phone(Account(0, "10.9.9.9", "line"), registered=False)
    databases = InlineDatabases()
    entropy = house.exchange.entropy
    trunks = Trunks(
        house.exchange.clock, entropy, house.metrics, house.stack, await databases.main(), Keyring(b"k" * 32, entropy)
    )
    await trunks.start()
    trunk = Trunk("line", gateway.local[0], registers=False, supervision=supervision, disconnect_tone=tone)
    await trunks.put(trunk, "")
    house.exchange.trunks = trunks
    return gateway, databases


@asynccontextmanager
async def scene(supervision: str = "key") -> AsyncIterator[Scene]:
    async with House() as house:
        gateway, databases = await gateway_of(house, supervision)
        alice, desk = house.phone(ALICE), house.phone(BOB)
        house.town.rules[BOB.id] = [CallRule(Stage.AT_ONCE, Fork((MOBILE,)))]
        alice.call(f"sip:bob@{DOMAIN}")
        play = Scene(house, alice, desk, gateway, await desk.request("INVITE"), await gateway.request("INVITE"))
        desk.answer(play.at_desk, 180)
        await alice.response(180)
        yield play
        databases.discard()


async def test_the_others_ring_on_and_one_of_them_takes_the_call() -> None:
    async with scene() as play:
        stream = await play.seized()
        assert stream.playing == "presstoaccept"
        stream.listener.media_digit("5", 100)
        await play.rings_on()
        play.gateway.answer(await play.gateway.request("BYE"), 200)
        assert stream.playing == ""


@pytest.mark.parametrize("by", ["event", "info"])
async def test_the_key_takes_it_from_the_others(by: str) -> None:
    async with scene() as play:
        stream = await play.seized()
        assert stream.other is None, "the caller does not hear the prompt"
        if by == "event":
            stream.listener.media_digit("1", 100)
        else:
            play.gateway.send("INFO", b"Signal=1\r\nDuration=160\r\n", "application/dtmf-relay")
            await play.gateway.response(200, "INFO")
        cancel = await play.desk.request("CANCEL")
        assert "Call completed elsewhere" in (cancel.get("Reason") or "")
        play.desk.answer(cancel, 200)
        play.desk.answer(play.at_desk, 487)
        await play.alice.response(200)
        play.alice.send("ACK")
        near = next(each for each in play.house.studio.streams if each.listener is not stream.listener)
        await until(lambda: stream.other is near)
        play.alice.send("BYE")
        play.gateway.answer(await play.gateway.request("BYE"), 200)
        assert not [each for each in play.gateway.inbox if isinstance(each, Request)], "one ACK only"
        record = await play.house.record()
        assert record.callee == "5551234567@line"


async def test_without_a_key_it_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(acceptance, "PATIENCE", 0.1)
    async with scene() as play:
        await play.seized()
        play.gateway.answer(await play.gateway.request("BYE"), 200)
        await play.rings_on()


async def test_the_prompt_is_said_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(acceptance, "_PAUSE", 0.01)
    async with scene() as play:
        stream = await play.seized()
        stream.listener.media_played(1)
        await asyncio.sleep(0.05)
        assert stream.played == ["presstoaccept", "presstoaccept"]
        await play.rings_on()


async def test_the_far_end_hangs_up_before_a_key() -> None:
    async with scene() as play:
        await play.seized()
        play.gateway.send("BYE")
        await play.gateway.response(200, "BYE")
        await play.rings_on()


async def test_the_line_is_busy_or_was_hung_up_before_a_key() -> None:
    """All that it says of that is a tone."""
    async with scene() as play:
        stream = await play.seized()
        stream.listener.media_hung_up()
        play.gateway.answer(await play.gateway.request("BYE"), 200)
        await play.rings_on()


async def test_the_caller_gives_up() -> None:
    async with scene() as play:
        await play.seized()
        play.alice.cancel()
        await play.alice.response(487)
        play.gateway.answer(await play.gateway.request("BYE"), 200)


async def test_a_line_without_supervision_takes_the_call_at_once() -> None:
    async with scene("none") as play:
        play.gateway.answer(play.at_gateway, 200, play.gateway.sdp(6000))
        await play.desk.request("CANCEL")
        await play.alice.response(200)


async def test_who_dials_the_number_himself_hears_the_line() -> None:
    async with House() as house:
        gateway, databases = await gateway_of(house)
        alice = house.phone(ALICE)
        alice.call(f"sip:{MOBILE}")
        gateway.answer(await gateway.request("INVITE"), 200, gateway.sdp(6000))
        await alice.response(200)
        assert not any(stream.played for stream in house.studio.streams)
        databases.discard()


async def test_a_caller_without_an_offer_is_asked_after_the_key() -> None:
    async with House() as house:
        gateway, databases = await gateway_of(house)
        alice = house.phone(ALICE)
        house.town.rules[BOB.id] = [CallRule(Stage.AT_ONCE, Redirect((MOBILE,)))]
        alice.call(f"sip:bob@{DOMAIN}", b"")
        invite = await gateway.request("INVITE")
        assert not invite.body
        gateway.takes(invite)
        gateway.answer(invite, 200, gateway.sdp(6000))
        assert (await gateway.request("ACK")).body
        await alice.response(180)
        stream = next(each for each in house.studio.streams if each.played)
        stream.listener.media_digit("1", 100)
        await alice.response(200)
        alice.send("ACK", alice.sdp())
        renewed = await gateway.request("INVITE")
        gateway.answer(renewed, 200, gateway.sdp(6000))
        await gateway.request("ACK")
        await until(lambda: stream.other is not None)
        databases.discard()
