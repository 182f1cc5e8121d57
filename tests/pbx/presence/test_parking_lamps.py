"""The lamps of parking places: by 701 or park+701, for the domain's accounts (RFC 4235)."""

from __future__ import annotations

import pytest

from directory.model import Account, Caller
from pbx.presence.lines import Line, place_id
from pbx.presence.watchers import Watchers
from tests.directory.fixtures import DOMAIN
from tests.pbx.exchange import Exchange, play
from tests.pbx.presence.watching import calls, subscribe, version
from tests.simulation.virtual import simulate


def park(house: Exchange, place: str = "701") -> None:
    line = Line("park-1", place_id(f"{place}@{DOMAIN}"), "recipient", "confirmed", "sip:carol@x", "Carol")
    house.events.lines.update(f"park-{place}", [line])


@pytest.mark.parametrize("watched", ["701", "park+701"])
def test_a_lamp_shows_that_somebody_waits_and_not_who(watched: str) -> None:
    async def scene(house: Exchange) -> None:
        phone = house.phone("alice")
        _, response = await subscribe(phone, "dialog", watched)
        assert response.status == 200
        first = await phone.next_request(1)
        assert (version(first), calls(first)) == ((0, "full"), [])
        assert f'entity="sip:701@{DOMAIN}"'.encode() in first.body
        park(house, "702")
        park(house)
        lit = await phone.next_request(2)
        assert calls(lit) == [("recipient", "confirmed", "")]
        assert b"carol" not in lit.body
        house.events.lines.update("park-701", [])
        assert calls(await phone.next_request(2)) == [("recipient", "terminated", "")]

    simulate(play(scene))


@pytest.mark.parametrize(("watched", "status"), [("700", 403), ("721", 403), ("park+700", 404)])
def test_the_lot_as_a_whole_and_what_is_no_place_have_none(watched: str, status: int) -> None:
    async def scene(house: Exchange) -> None:
        assert (await subscribe(house.phone("alice"), "dialog", watched))[1].status == status

    simulate(play(scene))


def test_places_are_their_domains() -> None:
    async def scene(house: Exchange) -> None:
        watchers, alice = Watchers(house.directory), house.directory.find_account(DOMAIN, "alice")
        other = Account(99, "two.test", "alice")
        places = [Account(place_id(f"701@{domain}"), domain, "701") for domain in (DOMAIN, "two.test")]
        seen = [[watchers.may_watch(Caller("", account=who), place) for place in places] for who in (alice, other)]
        assert seen == [[True, False], [False, True]]

    simulate(play(scene))


def test_a_lamp_goes_out_after_a_crash() -> None:
    async def scene(house: Exchange) -> None:
        phone = house.phone("alice")
        await subscribe(phone, "dialog", "701")
        await phone.next_request(1)
        park(house)
        assert calls(await phone.next_request(2)) == [("recipient", "confirmed", "")]
        await house.crash()
        after = await phone.next_request(1)
        assert (calls(after), version(after)[1]) == ([], "full")
        park(house)
        assert calls(await phone.next_request(2)) == [("recipient", "confirmed", "")]

    simulate(play(scene))
