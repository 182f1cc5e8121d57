"""Workarounds of telephones that register: what differs on the wire, with and without each."""

from __future__ import annotations

import asyncio

import pytest

from pbx.nat.keepalive import KeepAlive
from pbx.proxy.proxy import Target
from pbx.registrar.qualify import Qualifier
from pbx.sipcore.flow import Flow
from pbx.workarounds.kinds import Workaround
from pbx.workarounds.rows import Row
from tests.directory.fixtures import DOMAIN
from tests.pbx.exchange import SERVER, Exchange, Phone, play
from tests.simulation.virtual import simulate

AGENT = ("User-Agent", "Odd Phone/1")


def odd(house: Exchange, what: Workaround, wanted: bool) -> None:
    """Give the odd telephones a workaround."""
    if wanted:
        house.workarounds.put([Row("Odd Phone*", what)])


def hidden(house: Exchange) -> Phone:
    """Behind a router: it says an address of its own."""
    phone = house.phone("bob", host="203.0.113.7")
    phone.said = ("192.168.1.7", 5060)
    return phone


@pytest.mark.parametrize("done", [False, True])
def test_answers_and_calls_go_to_the_source(done: bool) -> None:
    async def scene(house: Exchange) -> None:
        odd(house, Workaround.SOURCE_PORT, done)
        phone = house.phone("alice", host="203.0.113.7", port=40_000)
        named = house.phone("alice", host="203.0.113.7", port=5060)  # the port that it wrongly names
        phone.said = named.local
        request = phone.request("REGISTER", f"sip:{DOMAIN}", AGENT, to=f"<sip:alice@{DOMAIN}>")
        request.replace_first("Via", "SIP/2.0/UDP 203.0.113.7:5060;branch=z9hG4bK1")
        phone.raw(request.encode())
        await asyncio.sleep(0.1)
        assert (phone.responses.qsize(), named.responses.qsize()) == ((1, 0) if done else (0, 1))

        again = phone.credentials(request, (phone if done else named).responses.get_nowait())
        again.replace_first("Via", "SIP/2.0/UDP 203.0.113.7:5060;branch=z9hG4bK2")
        phone.raw(again.encode())
        await asyncio.sleep(0.1)
        (binding,) = house.bindings.contacts(house.account_id("alice"))
        assert binding.flow.remote == (phone.local if done else named.local)

    simulate(play(scene))


@pytest.mark.parametrize(("done", "seconds"), [(False, "3600"), (True, "120")])
def test_it_registers_often(done: bool, seconds: str) -> None:
    async def scene(house: Exchange) -> None:
        odd(house, Workaround.REGISTER_OFTEN, done)
        response = await house.phone().register(AGENT, ("Expires", "3600"))
        assert (response.get("Contact") or "").endswith(f";expires={seconds}")

    simulate(play(scene))


@pytest.mark.parametrize("done", [False, True])
def test_it_is_not_asked_whether_it_is_there(done: bool) -> None:
    async def scene(house: Exchange) -> None:
        odd(house, Workaround.NO_OPTIONS, done)
        phone = hidden(house)
        await phone.register(AGENT)
        made = Qualifier(
            house.clock, house.entropy, house.metrics, house.stack, house.bindings, workarounds=house.workarounds
        )
        made.start()
        await asyncio.sleep(130)
        asked = [phone.requests.get_nowait().method for _ in range(phone.requests.qsize())]
        assert ("OPTIONS" in asked) is not done
        made.close()

    simulate(play(scene))


@pytest.mark.parametrize("done", [False, True])
def test_no_empty_lines(done: bool) -> None:
    async def scene(house: Exchange) -> None:
        odd(house, Workaround.NO_KEEPALIVE, done)
        phone = hidden(house)
        await phone.register(AGENT)
        heard: list[bytes] = []
        phone._receive = lambda data, source: heard.append(data)  # type: ignore[method-assign]
        await phone.socket.close()
        phone.socket = house.network.open(phone.local, phone._receive)
        keeper = KeepAlive(house.clock, house.metrics, house.stack, house.bindings, "crlf", 20, house.workarounds)
        keeper.start()
        await asyncio.sleep(60)
        assert (b"\r\n\r\n" in heard) is not done
        keeper.close()

    simulate(play(scene))


@pytest.mark.parametrize("done", [False, True])
def test_the_lamp_of_one_that_has_not_subscribed(done: bool) -> None:
    async def scene(house: Exchange) -> None:
        odd(house, Workaround.NO_UNSOLICITED_NOTIFY, done)
        phone = house.phone()
        await phone.register(AGENT)
        await asyncio.sleep(5)
        assert phone.requests.qsize() == (0 if done else 1)
        assert done or phone.requests.get_nowait().method == "NOTIFY"

    simulate(play(scene))


@pytest.mark.parametrize("done", [False, True])
def test_lr_with_a_value(done: bool) -> None:
    async def scene(house: Exchange) -> None:
        odd(house, Workaround.FULL_LR, done)
        caller = house.phone("alice")
        await caller.prove(caller.request("INVITE", f"sip:bob@{DOMAIN}"))
        transaction = house.calls.invites[0][0]
        target = Target("sip:bob@10.0.0.200", Flow("udp", SERVER, ("10.0.0.200", 5060)), agent=AGENT[1])
        said = house.proxy.outgoing(transaction, target).request.get("Record-Route") or ""
        assert (";lr=on>" in said) is done
        assert done or said.endswith(";lr>")

    simulate(play(scene))
