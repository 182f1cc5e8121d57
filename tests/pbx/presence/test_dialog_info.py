"""The lamps of a console: who is in a call (RFC 4235)."""

from __future__ import annotations

import asyncio

import pytest

from directory.settings import SETTINGS
from pbx.presence import xml
from pbx.sipcore import digest
from server.bridges import watchers
from tests.pbx.exchange import Exchange, play
from tests.pbx.presence.watching import DIALOG, again, calls, line, state, subscribe, version
from tests.simulation.virtual import simulate


def test_a_call_is_told_as_it_goes_and_versions_rise() -> None:
    """RFC 4235 §4.1: the version starts at 0 and grows by one; §4.3: full first, partial then."""

    async def scene(house: Exchange) -> None:
        phone, lines = house.phone("alice"), house.events.lines
        _, response = await subscribe(phone, "dialog", "bob")
        assert response.status == 200
        first = await phone.next_request(1)
        assert (state(first), version(first), calls(first)) == ("active", (0, "full"), [])
        lines.update("c1", [line(house, "bob", "early")])
        ringing = await phone.next_request(2)
        assert (version(ringing), calls(ringing)) == ((1, "partial"), [("recipient", "early", "")])
        lines.update("c1", [line(house, "bob", "confirmed")])
        talking = await phone.next_request(2)
        assert (version(talking), calls(talking)) == ((2, "partial"), [("recipient", "confirmed", "")])
        lines.update("c1", [], {"recipient": "local-bye", "initiator": "remote-bye"})
        over = await phone.next_request(2)
        assert (version(over), calls(over)) == ((3, "partial"), [("recipient", "terminated", "local-bye")])
        await asyncio.sleep(10)
        assert phone.requests.empty()

    simulate(play(scene))


def test_changes_that_follow_closely_go_out_together() -> None:
    """RFC 4235 §3.10: no more often than once a second."""

    async def scene(house: Exchange) -> None:
        phone, lines = house.phone("alice"), house.events.lines
        await subscribe(phone, "dialog", "bob")
        await phone.next_request(1)
        await asyncio.sleep(5)
        lines.update("c1", [line(house, "bob", "trying")])
        assert calls(await phone.next_request(0.5)) == [("recipient", "trying", "")]
        began = house.clock.now()
        lines.update("c1", [line(house, "bob", "early")])
        lines.update("c1", [line(house, "bob", "confirmed")])
        assert calls(await phone.next_request(2)) == [("recipient", "confirmed", "")]
        assert house.clock.now() - began >= 0.9
        await asyncio.sleep(5)
        assert phone.requests.empty()

    simulate(play(scene))


def test_a_call_too_short_to_be_told_is_not_told() -> None:
    async def scene(house: Exchange) -> None:
        phone, lines = house.phone("alice"), house.events.lines
        await subscribe(phone, "dialog", "bob")
        await phone.next_request(1)
        lines.update("c1", [line(house, "bob", "early")])
        lines.update("c1", [])
        await asyncio.sleep(5)
        assert phone.requests.empty()

    simulate(play(scene))


def test_what_a_phone_refused_it_is_told_as_a_whole() -> None:
    async def scene(house: Exchange) -> None:
        phone, lines = house.phone("alice"), house.events.lines
        await subscribe(phone, "dialog", "bob")
        await phone.next_request(1)
        phone.answers = 500
        lines.update("c1", [line(house, "bob", "early")])
        await phone.next_request(2)
        phone.answers = 200
        lines.update("c2", [line(house, "bob", "trying", "c2")])
        notify = await phone.next_request(2)
        assert version(notify)[1] == "full"
        assert calls(notify) == [("recipient", "early", ""), ("recipient", "trying", "")]

    simulate(play(scene))


def test_a_refresh_tells_all_and_a_fetch_is_one_notify() -> None:
    async def scene(house: Exchange) -> None:
        phone, lines = house.phone("alice"), house.events.lines
        lines.update("c1", [line(house, "bob", "confirmed")])
        request, response = await subscribe(phone, "dialog;id=7", "bob")
        first = await phone.next_request(1)
        assert first.get("Event") == "dialog;id=7"
        assert calls(first) == [("recipient", "confirmed", "")]
        assert (await phone.ask(again(phone, request, response, "dialog;id=7"))).status == 200
        assert version(await phone.next_request(1)) == (1, "full")
        other = house.phone("alice")
        await subscribe(other, "dialog", "bob", ("Expires", "0"))
        fetched = await other.next_request(1)
        assert (state(fetched), calls(fetched)) == ("terminated;reason=timeout", [("recipient", "confirmed", "")])
        await asyncio.sleep(2)
        assert house.metrics.snapshot()["pbx.presence.subscriptions"] == 1

    simulate(play(scene))


def test_with_whom_is_told_only_if_allowed_and_to_oneself() -> None:
    async def scene(house: Exchange) -> None:
        lines, bob = house.events.lines, house.account_id("bob")
        lines.update("c1", [line(house, "bob", "confirmed", peer="sip:secret@elsewhere.example")])
        shown = []
        for watcher, allowed in (("alice", "NO"), ("alice", "YES"), ("bob", "NO")):
            await house.directory.set_setting(bob, "ShowPeers", allowed)
            phone = house.phone(watcher)
            await subscribe(phone, "dialog", "bob")
            root = xml.read((await phone.next_request(1)).body)
            identity = root.find(f"{DIALOG}dialog/{DIALOG}remote/{DIALOG}identity")
            shown.append("" if identity is None else identity.text)
        assert shown == ["", "sip:secret@elsewhere.example", "sip:secret@elsewhere.example"]

    simulate(play(scene))


@pytest.mark.parametrize(
    ("setting", "status"),
    [
        *(("domain", 200), ("server", 200), ("nobody", 403), ("", 403), ("201", 200), ("pbx", 403)),
        *(("chiefs", 200), ("others", 403)),
    ],
)
def test_the_watched_say_who_may_watch(setting: str, status: int) -> None:
    async def scene(house: Exchange) -> None:
        await house.directory.create_group("tandem.test", "chiefs", ["alice", "pbx"])
        await house.directory.create_group("tandem.test", "others", ["pbx"])
        await house.directory.set_setting(house.account_id("bob"), "WatchedBy", setting)
        for event in ("dialog", "presence"):
            _, response = await subscribe(house.phone("alice"), event, "bob")
            assert response.status == status
        _, own = await subscribe(house.phone("bob"), "dialog", "bob")
        assert own.status == 200

    assert SETTINGS["WatchedBy"].default == ("domain",)
    simulate(play(scene))


@pytest.mark.parametrize(
    ("event", "target", "headers", "status"),
    [
        ("dialog", "nobody", (), 404),
        ("dialog", "600", (), 403),
        ("dialog", "bob", (("Accept", "text/plain"),), 406),
        ("dialog", "bob", (("Accept", "application/*"),), 200),
        ("dialog", "bob", (("Expires", "5"),), 423),
        ("weather", "bob", (), 489),
        ("reg", "bob", (), 403),
    ],
)
def test_refusals(event: str, target: str, headers: tuple[tuple[str, str], ...], status: int) -> None:
    async def scene(house: Exchange) -> None:
        _, response = await subscribe(house.phone("alice"), event, target, *headers)
        assert response.status == status
        if status == 423:
            assert response.get("Min-Expires") == "60"

    simulate(play(scene))


def test_a_subscribe_that_came_by_two_ways_is_taken_once() -> None:
    """RFC 3261 §8.2.2.2: merged requests."""

    async def scene(house: Exchange) -> None:
        phone = house.phone("alice")
        request = phone.request("SUBSCRIBE", "sip:bob@tandem.test", ("Event", "dialog"))
        challenge = await phone.ask(request)
        proved = phone.credentials(request, challenge)
        assert (await phone.ask(proved)).status == 200
        second = proved.copy()
        second.replace_first("Via", phone._via())
        asked = digest.parse_challenge(challenge.get("WWW-Authenticate") or "")
        second.set(
            "Authorization",
            digest.respond(
                asked,
                username="alice",
                password=phone.password,
                method="SUBSCRIBE",
                uri=request.uri,
                cnonce="d",
                count=2,
            ),
        )
        assert (await phone.ask(second)).status == 482

    simulate(play(scene))


def test_one_watcher_cannot_fill_the_table() -> None:
    async def scene(house: Exchange) -> None:
        notifier = house.events._notifier
        notifier._bounds = type(notifier._bounds)(each=2)
        statuses = []
        for _ in range(3):
            phone = house.phone("alice")
            statuses.append((await subscribe(phone, "dialog", "bob"))[1].status)
        other = (await subscribe(house.phone("bob"), "dialog", "alice"))[1].status
        assert [*statuses, other] == [200, 200, 503, 200]

    simulate(play(scene))


def test_when_the_server_stops_phones_are_told_to_come_again() -> None:
    """RFC 6665 §4.1.3: probation."""

    async def scene(house: Exchange) -> None:
        phone = house.phone("alice")
        await subscribe(phone, "dialog", "bob")
        await phone.next_request(1)
        house.events.farewell()
        assert state(await phone.next_request(1)) == "terminated;reason=probation;retry-after=10"
        await asyncio.sleep(1)
        assert house.metrics.snapshot()["pbx.presence.subscriptions"] == 0

    simulate(play(scene))


def test_rights_that_are_taken_away_end_what_they_allowed() -> None:
    """RFC 6665 §4.1.3: rejected; noresource once the watched is no more."""

    async def scene(house: Exchange) -> None:
        watchers(house.directory, house.events.review, house.events.gone)
        bob = house.account_id("bob")
        phone = house.phone("alice")
        await subscribe(phone, "dialog", "bob")
        await phone.next_request(1)
        await house.directory.set_setting(bob, "WatchedBy", "nobody")
        assert state(await phone.next_request(1)) == "terminated;reason=rejected"
        await house.directory.set_setting(bob, "WatchedBy", None)
        again_phone = house.phone("alice")
        await subscribe(again_phone, "presence", "bob")
        await again_phone.next_request(1)
        await house.directory.remove_account(bob)
        assert state(await again_phone.next_request(1)) == "terminated;reason=noresource"
        await asyncio.sleep(1)
        assert house.metrics.snapshot()["pbx.presence.subscriptions"] == 0

    simulate(play(scene))
