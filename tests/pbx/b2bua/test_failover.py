"""Calls to a domain with several servers: one that refuses or does not answer is passed over (RFC 3263 §4.3)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from base.clock import LoopClock
from pbx.transport.memory import MemoryNetwork
from pbx.transport.network import Srv
from tests.pbx.b2bua.house import ALICE, CAROL, House

FAR = "far.example"


class Named(MemoryNetwork):
    """A domain with a server for every day and one behind it."""

    async def srv(self, name: str) -> Sequence[Srv]:
        return (Srv(0, 0, 5060, f"a.{FAR}"), Srv(1, 0, 5060, f"b.{FAR}")) if name == f"_sip._udp.{FAR}" else ()

    async def look_up(self, host: str) -> Sequence[str]:
        return {f"a.{FAR}": ("10.0.1.2",), f"b.{FAR}": ("10.0.1.3",)}.get(host, ())


BOTH = pytest.mark.parametrize("features", ["YES", "NO"], ids=["b2bua", "proxy"])


def house(features: str) -> House:
    made = House(network=Named(LoopClock(asyncio.get_running_loop())))
    made.town.settings[ALICE.id, "CallFeatures"] = features
    return made


@BOTH
async def test_a_server_that_is_too_busy_is_passed_over_and_avoided(features: str) -> None:
    async with house(features) as made:
        alice, first, second = (
            made.phone(ALICE),
            made.phone(CAROL, registered=False),
            made.phone(CAROL, registered=False),
        )
        alice.call(f"sip:someone@{FAR}")
        first.answer(await first.request("INVITE"), 503, Retry_After="30")
        invite = await second.request("INVITE")
        assert invite.uri == f"sip:someone@{FAR}"
        second.answer(invite, 200, second.sdp())
        await alice.response(200)
        alice.send("ACK")
        alice.send("BYE")
        second.answer(await second.request("BYE"), 200)
        await alice.response(200, "BYE")
        alice.routes = []

        alice.call_id = "the-next-call"
        alice.tag = "next"
        alice.call(f"sip:someone@{FAR}")
        second.answer(await second.request("INVITE"), 486)  # not asked the busy one first
        await alice.response(486)
        alice.send("ACK")
        assert not [message for message in first.inbox if message.method == "INVITE"]


@BOTH
async def test_a_silent_server_is_passed_over(features: str) -> None:
    async with house(features) as made:
        alice, second = made.phone(ALICE), None
        made.phone(CAROL, registered=False)  # it hears, and says nothing
        second = made.phone(CAROL, registered=False)
        alice.call(f"sip:someone@{FAR}")
        invite = await second.request("INVITE")  # 64*T1 later
        second.answer(invite, 404)
        await alice.response(404)
        alice.send("ACK")


@BOTH
async def test_when_all_refuse_the_caller_is_told_once(features: str) -> None:
    async with house(features) as made:
        alice, first, second = (
            made.phone(ALICE),
            made.phone(CAROL, registered=False),
            made.phone(CAROL, registered=False),
        )
        alice.call(f"sip:someone@{FAR}")
        first.answer(await first.request("INVITE"), 503)
        second.answer(await second.request("INVITE"), 503)
        await alice.response(500)  # RFC 3261 §16.7 step 6
        alice.send("ACK")
        assert (await made.record()).status == 500
