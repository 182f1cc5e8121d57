"""Addresses of one telephone (RFC 5627), and the ways through other servers (RFC 3327, RFC 3608)."""

from __future__ import annotations

import asyncio
import re

import pytest

from base.entropy import SeededEntropy
from pbx.registrar.gruu import Gruus
from pbx.sipcore.message import Response
from pbx.sipcore.uri import NameAddress, Uri
from tests.directory.fixtures import DOMAIN
from tests.pbx.exchange import Exchange, Phone, play
from tests.simulation.virtual import simulate

UUIDS = ("urn:uuid:00000000-0000-1000-8000-aabbccddee01", "urn:uuid:00000000-0000-1000-8000-aabbccddee02")
GRUU = ("Supported", "path, gruu")


async def register(phone: Phone, instance: str, *headers: tuple[str, str]) -> Response:
    host, port = phone.local
    contact = f'<sip:{phone.user}@{host}:{port}>;+sip.instance="<{instance}>"'
    return await phone.register(("Contact", contact), *(headers or (GRUU,)))


def gruus(response: Response, instance: str) -> tuple[str, str]:
    """The public and the temporary one of a telephone."""
    (value,) = [each for each in response.get_all("Contact") if instance in each]
    params = NameAddress.parse(value).params
    return params.get("pub-gruu") or "", params.get("temp-gruu") or ""


async def two_phones(house: Exchange) -> tuple[list[Phone], list[tuple[str, str]]]:
    phones = [house.phone("bob"), house.phone("bob")]
    made = [gruus(await register(phone, uuid), uuid) for phone, uuid in zip(phones, UUIDS, strict=True)]
    for phone in phones:
        await phone.next_request(1)  # the lamp
    return phones, made


def test_each_telephone_is_told_its_addresses() -> None:
    async def scene(house: Exchange) -> None:
        _, made = await two_phones(house)
        assert [public for public, _ in made] == [f"sip:bob@{DOMAIN};gr={uuid}" for uuid in UUIDS]
        for _, temporary in made:
            uri = Uri.parse(temporary)
            assert (uri.host, uri.params) == (DOMAIN, {"gr": None})
            assert re.fullmatch(r"tgruu\.[A-Za-z0-9_-]{46}", uri.user)
        again = await register(house.phone("bob"), UUIDS[0])
        assert len([value for value in again.get_all("Contact") if "pub-gruu" in value]) == 2

    simulate(play(scene))


def test_not_for_who_does_not_ask_or_has_no_instance() -> None:
    async def scene(house: Exchange) -> None:
        assert gruus(await register(house.phone("bob"), UUIDS[0], ("Supported", "path")), UUIDS[0]) == ("", "")
        plain = await house.phone("alice").register(GRUU)
        assert "gruu" not in (plain.get("Contact") or "")
        odd = house.phone("alice")
        response = await odd.register(("Contact", '<sip:a@10.0.0.9>;+sip.instance="<x\\" y>"'), GRUU)
        assert "pub-gruu" not in " ".join(response.get_all("Contact"))

    simulate(play(scene))


@pytest.mark.parametrize("temporary", [False, True])
def test_a_request_to_it_reaches_that_one_telephone(temporary: bool) -> None:
    async def scene(house: Exchange) -> None:
        phones, made = await two_phones(house)
        alice = house.phone("alice")
        for at in (0, 1, 0):
            message = alice.request("MESSAGE", made[at][temporary], to=f"<sip:bob@{DOMAIN}>")
            assert (await alice.prove(message)).status == 200
            got = await phones[at].next_request(1)
            assert (got.method, got.uri) == ("MESSAGE", f"sip:bob@{phones[at].local[0]}:5060")
            assert phones[1 - at].requests.empty()
        invite = alice.request("INVITE", made[1][temporary], to=f"<sip:bob@{DOMAIN}>")
        await alice.prove(invite)
        route = house.calls.invites[-1][2].route
        assert (route.account.name, route.services, route.instance) == ("bob", False, f"<{UUIDS[1]}>")

    simulate(play(scene))


def test_one_that_is_not_there_and_one_that_never_was() -> None:
    async def scene(house: Exchange) -> None:
        phones, made = await two_phones(house)
        alice = house.phone("alice")

        async def status(uri: str) -> int:
            return (await alice.prove(alice.request("MESSAGE", uri, to=f"<sip:bob@{DOMAIN}>"))).status

        await register(phones[0], UUIDS[0], GRUU, ("Expires", "0"))
        assert await status(made[0][0]) == 480  # RFC 5627 §6.1
        assert await status(made[0][1]) == 404
        assert await status(f"sip:nobody@{DOMAIN};gr={UUIDS[0]}") == 404
        assert await status(f"sip:bob@{DOMAIN};gr") == 404
        forged = made[1][1].replace("tgruu.", "tgruu.A")
        assert await status(forged) == 404
        user = Uri.parse(made[1][1]).user
        changed = user[:-1] + ("A" if user[-1] != "A" else "B")
        assert await status(f"sip:{user[:20]}{'x' if user[20] != 'x' else 'y'}{user[21:]}@{DOMAIN};gr") == 404
        assert await status(f"sip:{changed}@{DOMAIN};gr") in (200, 404)  # the last letter holds unused bits
        assert await status(made[1][1]) == 200

    simulate(play(scene))


def test_temporary_ones_are_all_unlike_and_end_with_the_call_id() -> None:
    async def scene(house: Exchange) -> None:
        phone, alice = house.phone("bob"), house.phone("alice")
        made = [gruus(await register(phone, UUIDS[0]), UUIDS[0])[1] for _ in range(4)]
        users = [Uri.parse(uri).user.removeprefix("tgruu.") for uri in made]
        for one in users:
            for other in users:
                same = sum(a == b for a, b in zip(one, other, strict=True))
                assert one is other or same < 12  # chance: one in 64 of 46
        assert (await alice.prove(alice.request("MESSAGE", made[0], to=f"<sip:bob@{DOMAIN}>"))).status == 200
        phone.call_id, phone.cseq = "another", 0
        await register(phone, UUIDS[0])
        # RFC 5627 §5.4: a new Call-ID ends those of the old one
        assert (await alice.prove(alice.request("MESSAGE", made[0], to=f"<sip:bob@{DOMAIN}>"))).status == 404

    simulate(play(scene))


def test_they_hold_over_a_restart_and_only_with_our_key() -> None:
    async def scene(house: Exchange) -> None:
        _, made = await two_phones(house)
        uri = Uri.parse(made[0][1])
        again = Gruus(b"k" * 32, SeededEntropy(99), house.directory, house.bindings)
        other = Gruus(b"x" * 32, SeededEntropy(99), house.directory, house.bindings)
        assert again.route(uri) == house.registrar.one_phone(uri)
        assert type(other.route(uri)).__name__ == "UnknownRoute"
        assert again.route(Uri.parse("sip:bob@elsewhere.example;gr=x")) is None
        assert again.route(Uri.parse(f"sip:bob@{DOMAIN}")) is None

    simulate(play(scene))


def test_nobody_registers_one_as_his_contact() -> None:
    async def scene(house: Exchange) -> None:
        _, made = await two_phones(house)
        for uri in made[1]:
            assert (await house.phone("alice").register(("Contact", f"<{uri}>"))).status == 403

    simulate(play(scene))


def test_requests_go_the_whole_path_and_the_service_route_leads_back() -> None:
    async def scene(house: Exchange) -> None:
        edge = house.phone("bob", host="10.0.0.50")
        paths = "<sip:10.0.0.60;lr>, <sip:10.0.0.50;lr;ob>"
        response = await edge.register(("Path", paths), ("Supported", "path"), ("Contact", "<sip:bob@10.9.9.9>"))
        assert response.get_all("Path") == paths.split(", ")
        assert response.get_all("Service-Route") == ["<sip:10.0.0.1:5060;lr>"]  # RFC 3608 §6.3
        assert not (await house.phone("alice").register()).has("Service-Route")
        await edge.next_request(1)

        alice = house.phone("alice")
        message = alice.request("MESSAGE", f"sip:bob@{DOMAIN}", ("Route", response.get("Service-Route") or ""))
        assert (await alice.prove(message)).status == 200  # and our own preloaded Route is no hindrance
        got = await edge.next_request(1)
        assert got.get_all("Route") == paths.split(", ")  # RFC 3327 §5.3
        assert got.uri == "sip:bob@10.9.9.9"

    simulate(play(scene))


@pytest.mark.parametrize("path", [", ".join(["<sip:edge.example;lr>"] * 6), "<sip:", "<tel:123>"])
def test_a_path_that_we_could_not_go_is_refused(path: str) -> None:
    async def scene(house: Exchange) -> None:
        assert (await house.phone("bob").register(("Path", path), ("Supported", "path"))).status == 400
        assert len(house.bindings) == 0

    simulate(play(scene))


def test_what_must_be_known_and_is_not() -> None:
    async def scene(house: Exchange) -> None:
        phone = house.phone("bob")
        refused = await phone.register(("Require", "path, gruu, teleport"))
        assert (refused.status, refused.get("Unsupported")) == (420, "teleport")
        assert (await phone.register(("Require", "path, gruu"))).status == 200
        await asyncio.sleep(0.1)

    simulate(play(scene))
