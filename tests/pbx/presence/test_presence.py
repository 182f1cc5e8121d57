"""Presence: what is published, what the telephones say, and who sees it (RFC 3856, RFC 3903, RFC 3863)."""

from __future__ import annotations

import asyncio

import pytest

from pbx.presence import pidf, xml
from pbx.presence.pidf import Presence, Tuple
from pbx.sipcore.message import Request, Response
from tests.directory.fixtures import DOMAIN
from tests.pbx.exchange import Exchange, Phone, play
from tests.pbx.presence.watching import PIDF, basic, line, subscribe
from tests.simulation.virtual import simulate

AWAY = pidf.write("sip:bob@x", Presence((Tuple("a", "closed", "sip:bob@x"),), ("At lunch",), ("meal",)))
HERE = pidf.write("sip:bob@x", Presence((Tuple("a", "open"),)))


async def publish(phone: Phone, body: bytes, *headers: tuple[str, str], to: str = "") -> Response:
    request = phone.request("PUBLISH", f"sip:{to or phone.user}@{DOMAIN}", ("Event", "presence"))
    if body:
        request.set_body(body, pidf.CONTENT_TYPE)
    for name, value in headers:
        request.set(name, value)
    return await phone.prove(request)


def seen(notify: Request) -> Presence:
    assert notify.get("Content-Type") == pidf.CONTENT_TYPE
    return pidf.read(notify.body)


def test_registered_is_open_and_on_the_phone_is_told() -> None:
    async def scene(house: Exchange) -> None:
        watcher, bob = house.phone("alice"), house.phone("bob")
        await subscribe(watcher, "presence", "bob")
        assert seen(await watcher.next_request(1)).tuples[0].basic == "closed"
        await bob.register()
        assert seen(await watcher.next_request(6)).tuples[0].basic == "open"
        house.events.lines.update("c1", [line(house, "bob", "confirmed")])
        talking = seen(await watcher.next_request(6))
        assert (talking.tuples[0].basic, talking.activities, talking.notes) == (
            "open",
            ("on-the-phone",),
            ("On the phone",),
        )
        house.events.lines.update("c1", [])
        assert seen(await watcher.next_request(6)).activities == ()
        await bob.register(("Expires", "0"))
        assert seen(await watcher.next_request(6)).tuples[0].basic == "closed"

    simulate(play(scene))


def test_no_more_often_than_once_in_five_seconds() -> None:
    """RFC 3856 §6.10."""

    async def scene(house: Exchange) -> None:
        watcher = house.phone("alice")
        await subscribe(watcher, "presence", "bob")
        await watcher.next_request(1)
        began = house.clock.now()
        for number in range(20):
            house.events.lines.update("c1", [line(house, "bob", "confirmed")] if number % 2 else [])
        await watcher.next_request(6)
        assert house.clock.now() - began > 4
        assert watcher.requests.empty()

    simulate(play(scene))


def test_publish_refresh_change_and_remove() -> None:
    """RFC 3903 §4.1: each success gives a new entity tag, and the old one is gone."""

    async def scene(house: Exchange) -> None:
        watcher, bob = house.phone("alice"), house.phone("bob")
        await subscribe(watcher, "presence", "bob")
        await watcher.next_request(1)
        first = await publish(bob, AWAY)
        assert (first.status, first.get("Expires")) == (200, "3600")
        away = seen(await watcher.next_request(6))
        assert (away.tuples[0].basic, away.notes, away.activities) == ("closed", ("At lunch",), ("meal",))
        refresh = await publish(bob, b"", ("SIP-If-Match", first.get("SIP-ETag") or ""))
        assert refresh.status == 200
        assert refresh.get("SIP-ETag") != first.get("SIP-ETag")
        assert (await publish(bob, b"", ("SIP-If-Match", first.get("SIP-ETag") or ""))).status == 412
        change = await publish(bob, HERE, ("SIP-If-Match", refresh.get("SIP-ETag") or ""))
        assert seen(await watcher.next_request(6)).tuples[0].basic == "open"
        gone = await publish(bob, b"", ("SIP-If-Match", change.get("SIP-ETag") or ""), ("Expires", "0"))
        assert (gone.status, gone.get("Expires")) == (200, "0")
        assert seen(await watcher.next_request(6)).tuples[0].id == "telephone"
        assert house.metrics.snapshot()["pbx.presence.publications"] == 0

    simulate(play(scene))


def test_two_devices_publish_and_one_runs_out() -> None:
    async def scene(house: Exchange) -> None:
        watcher = house.phone("alice")
        await publish(house.phone("bob"), AWAY, ("Expires", "100"))
        await publish(house.phone("bob"), HERE)
        await subscribe(watcher, "presence", "bob")
        root = xml.read((await watcher.next_request(1)).body)
        assert basic(root) == ["closed", "open"]
        ids = [one.get("id") for one in root.iter(f"{PIDF}tuple")]
        assert len(set(ids)) == 2
        assert basic(xml.read((await watcher.next_request(150)).body)) == ["open"]

    simulate(play(scene))


@pytest.mark.parametrize(
    ("body", "headers", "to", "status"),
    [
        (AWAY, (), "alice", 403),
        (AWAY, (), "nobody", 404),
        (AWAY, (("Event", "dialog"),), "", 489),
        (AWAY, (("Event", ""),), "", 489),
        (b"", (), "", 400),
        (AWAY, (("SIP-If-Match", "x"),), "", 412),
        (AWAY, (("SIP-If-Match", "x, y"),), "", 412),
        (AWAY, (("Expires", "10"),), "", 423),
        (AWAY, (("Content-Type", "text/plain"),), "", 415),
        (AWAY, (("Content-Encoding", "gzip"),), "", 415),
        (b"<presence/>", (), "", 400),
        (b"not xml", (), "", 400),
        (b'<!DOCTYPE a [<!ENTITY b "c">]><presence xmlns="urn:ietf:params:xml:ns:pidf">&b;</presence>', (), "", 400),
    ],
)
def test_what_is_refused(body: bytes, headers: tuple[tuple[str, str], ...], to: str, status: int) -> None:
    async def scene(house: Exchange) -> None:
        assert (await publish(house.phone("bob"), body, *headers, to=to)).status == status
        assert house.metrics.snapshot()["pbx.presence.publications"] == 0

    simulate(play(scene))


def test_publications_of_an_account_are_bounded() -> None:
    async def scene(house: Exchange) -> None:
        for _ in range(14):
            assert (await publish(house.phone("bob"), HERE)).status == 200
        assert house.metrics.snapshot()["pbx.presence.publications"] == 10

    simulate(play(scene))


def test_hostile_documents_are_refused_and_words_survive() -> None:
    deep = b"<a>" * 50 + b"</a>" * 50
    many = b"<a>" + b"<b/>" * 3000 + b"</a>"
    for body in (deep, many, b"", b"<a", b"\xff\xfe", b'<?xml version="1.0" encoding="nonsense"?><a/>', b"<a>" * 9):
        with pytest.raises(xml.XmlRefused):
            xml.read(body)
    said = Presence(
        (Tuple('x"<', "open", "sip:a&b", "0.5", ("ü < ä",), "2026-01-01T00:00:00Z"),), ("a\x00b",), ("away",)
    )
    assert pidf.read(pidf.write('sip:"&', said)) == Presence(said.tuples, ("ab",), ("away",))


def test_the_table_comes_to_rest() -> None:
    async def scene(house: Exchange) -> None:
        watcher = house.phone("alice")
        watcher.answers = None
        await subscribe(watcher, "presence", "bob")
        await asyncio.sleep(60)
        assert house.metrics.snapshot()["pbx.presence.subscriptions"] == 0

    simulate(play(scene))
