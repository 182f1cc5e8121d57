"""The message lamp: subscribed or not, it shows the truth, and one NOTIFY at a time (RFC 6665, RFC 3842)."""

from __future__ import annotations

import asyncio

import pytest

from pbx.sipcore.message import Request, Response
from tests.directory.fixtures import DOMAIN
from tests.pbx.exchange import Exchange, Phone, play
from tests.simulation.virtual import simulate

EVENT = ("Event", "message-summary")


def lamp(request: Request) -> tuple[str, str]:
    """(Subscription-State less its seconds, the Voice-Message line)."""
    state = (request.get("Subscription-State") or "").partition(";expires")[0]
    return state, request.body.decode().splitlines()[2]


async def subscribe(phone: Phone, target: str = "", *headers: tuple[str, str]) -> tuple[Request, Response]:
    request = phone.request("SUBSCRIBE", f"sip:{target or phone.user}@{DOMAIN}", EVENT, *headers)
    response = await phone.prove(request)
    return request, response


def again(phone: Phone, request: Request, response: Response, *headers: tuple[str, str]) -> Request:
    refresh = phone.request("SUBSCRIBE", f"sip:{DOMAIN}", EVENT, *headers)
    refresh.set("From", request.get("From") or "")
    refresh.set("To", response.get("To") or "")
    return refresh


@pytest.mark.parametrize("target", ["alice", "201", "*97", "*98"])
def test_subscribe_gets_200_and_a_notify_at_once(target: str) -> None:
    async def scene(house: Exchange) -> None:
        house.voice[house.account_id("alice")] = (2, 5)
        phone = house.phone("alice")
        _, response = await subscribe(phone, target)
        assert (response.status, response.get("Expires")) == (200, "3600")
        notify = await phone.next_request(1)
        assert lamp(notify) == ("active", "Voice-Message: 2/5 (0/0)")
        assert notify.body.startswith(b"Messages-Waiting: yes\r\nMessage-Account: sip:*98@")
        assert notify.to_tag == (response.from_tag)
        assert notify.from_tag == response.to_tag

    simulate(play(scene))


def test_the_lamp_follows_the_messages_and_changes_nothing_when_they_do_not() -> None:
    async def scene(house: Exchange) -> None:
        bob = house.account_id("bob")
        phone = house.phone("bob")
        await subscribe(phone)
        assert lamp(await phone.next_request(1))[1] == "Voice-Message: 0/0 (0/0)"
        house.voice[bob] = (1, 0)
        house.lamps.changed(bob)
        assert lamp(await phone.next_request(1))[1] == "Voice-Message: 1/0 (0/0)"
        house.lamps.changed(bob)
        await asyncio.sleep(5)
        assert phone.requests.empty()

    simulate(play(scene))


def test_changes_during_a_notify_are_told_once_the_latest_only() -> None:
    async def scene(house: Exchange) -> None:
        bob = house.account_id("bob")
        phone = house.phone("bob")
        await subscribe(phone)
        await phone.next_request(1)
        phone.answers = None
        for new in range(1, 6):
            house.voice[bob] = (new, 0)
            house.lamps.changed(bob)
            await asyncio.sleep(0.01)
        first = await phone.next_request(1)
        await asyncio.sleep(0.2)
        assert phone.requests.empty()
        phone.answers = 200
        phone.respond(first, 200)
        assert lamp(await phone.next_request(1))[1] == "Voice-Message: 5/0 (0/0)"
        await asyncio.sleep(5)
        assert phone.requests.empty()

    simulate(play(scene))


def test_expires_0_ends_it_with_a_last_notify() -> None:
    async def scene(house: Exchange) -> None:
        phone = house.phone()
        request, response = await subscribe(phone)
        await phone.next_request(1)
        end = await phone.ask(again(phone, request, response, ("Expires", "0")))
        assert end.status == 200
        assert lamp(await phone.next_request(1))[0] == "terminated;reason=timeout"
        await asyncio.sleep(1)
        assert house.metrics.snapshot()["pbx.presence.subscriptions"] == 0
        refresh = again(phone, request, response)
        assert (await phone.ask(refresh)).status == 481

    simulate(play(scene))


def test_a_look_at_the_lamp_is_one_notify() -> None:
    async def scene(house: Exchange) -> None:
        phone = house.phone()
        _, response = await subscribe(phone, "", ("Expires", "0"))
        assert response.status == 200
        assert lamp(await phone.next_request(1))[0].startswith("terminated")
        await asyncio.sleep(1)
        assert phone.requests.empty()
        assert house.metrics.snapshot()["pbx.presence.subscriptions"] == 0

    simulate(play(scene))


def test_a_refresh_goes_on_and_time_ends_it() -> None:
    async def scene(house: Exchange) -> None:
        phone = house.phone()
        request, response = await subscribe(phone, "", ("Expires", "100"))
        await phone.next_request(1)
        await asyncio.sleep(80)
        assert (await phone.ask(again(phone, request, response, ("Expires", "100")))).status == 200
        assert lamp(await phone.next_request(1))[0] == "active"
        await asyncio.sleep(80)
        assert phone.requests.empty()
        assert lamp(await phone.next_request(30))[0] == "terminated;reason=timeout"

    simulate(play(scene))


@pytest.mark.parametrize("answer", [481, None])
def test_a_phone_that_forgot_or_died_is_dropped(answer: int | None) -> None:
    async def scene(house: Exchange) -> None:
        phone = house.phone()
        phone.answers = answer
        await subscribe(phone)
        await asyncio.sleep(60)
        assert house.metrics.snapshot()["pbx.presence.subscriptions"] == 0

    simulate(play(scene))


def test_nobody_watches_another_s_lamp() -> None:
    async def scene(house: Exchange) -> None:
        _, response = await subscribe(house.phone("alice"), "bob")
        assert response.status == 403

    simulate(play(scene))


def test_a_registered_phone_gets_its_lamp_unasked_and_not_twice() -> None:
    async def scene(house: Exchange) -> None:
        alice = house.account_id("alice")
        house.voice[alice] = (1, 1)
        phone = house.phone()
        await phone.register()
        notify = await phone.next_request(1)
        assert lamp(notify) == ("active", "Voice-Message: 1/1 (0/0)")
        assert notify.uri == f"sip:alice@{phone.local[0]}:5060"
        await subscribe(phone)
        await phone.next_request(1)
        house.voice[alice] = (0, 2)
        house.lamps.changed(alice)
        assert lamp(await phone.next_request(1))[1] == "Voice-Message: 0/2 (0/0)"
        await asyncio.sleep(1)
        assert phone.requests.empty()

    simulate(play(scene))
