"""REGISTER as RFC 3261 §10 has it: byte for byte, in order, bounded, and still there after a restart."""

from __future__ import annotations

import asyncio

import pytest

from base.clock import ManualClock
from pbx.registrar.bindings import Binding, Bindings, Health
from pbx.registrar.register import contact_key, same_registration, way_back, without_expires
from pbx.sipcore.flow import Flow
from pbx.sipcore.message import Request
from pbx.sipcore.uri import NameAddress
from tests.directory.fixtures import DOMAIN
from tests.pbx.exchange import SERVER, Exchange, Phone, play
from tests.simulation.virtual import simulate


def contacts(house: Exchange, name: str = "alice") -> list[str]:
    return [binding.contact for binding in house.bindings.contacts(house.account_id(name))]


def test_the_answer_lists_all_contacts_as_they_were_sent() -> None:
    async def scene(house: Exchange) -> None:
        first, second = house.phone("alice"), house.phone("alice")
        odd = '"A \\"x\\"" <sip:al%69ce@10.0.0.101:5060;line=7;OB>;Methods="INVITE, ACK";q=0.5;X-Odd=1'
        response = await first.register(("Contact", f"{odd};expires=600"))
        assert response.get_all("Contact") == [f"{odd};expires=600"]
        response = await second.register()
        assert {value.partition(";expires")[0] for value in response.get_all("Contact")} == {
            odd,
            f"<sip:alice@{second.local[0]}:5060>",
        }
        assert contacts(house)[1] == "sip:al%69ce@10.0.0.101:5060;line=7;OB"  # the one with q=0.5 comes last

    simulate(play(scene))


def test_a_query_changes_nothing_and_a_zero_takes_away() -> None:
    async def scene(house: Exchange) -> None:
        phone = house.phone()
        await phone.register()
        query = phone.request("REGISTER", f"sip:{DOMAIN}", to=f"<sip:alice@{DOMAIN}>")
        query.remove("Contact")
        response = await phone.prove(query)
        assert (response.status, len(response.get_all("Contact"))) == (200, 1)
        response = await phone.register(("Expires", "0"))
        assert (response.status, response.get_all("Contact")) == (200, [])
        assert len(house.bindings) == 0

    simulate(play(scene))


def test_a_star_removes_all_and_only_with_expires_0() -> None:
    async def scene(house: Exchange) -> None:
        phone, other = house.phone("alice"), house.phone("alice")
        await phone.register()
        await other.register()
        assert (await phone.register(("Contact", "*"))).status == 400
        assert (await phone.register(("Contact", "*, <sip:a@b>"), ("Expires", "0"))).status == 400
        assert len(house.bindings) == 2
        response = await phone.register(("Contact", "*"), ("Expires", "0"))
        assert (response.status, len(house.bindings)) == (200, 0)

    simulate(play(scene))


def test_too_short_is_423_and_too_long_is_cut() -> None:
    async def scene(house: Exchange) -> None:
        phone = house.phone()
        response = await phone.register(("Expires", "30"))
        assert (response.status, response.get("Min-Expires")) == (423, "60")
        response = await phone.register(("Expires", "999999"))
        assert (response.get("Contact") or "").endswith(";expires=3600")

    simulate(play(scene))


def test_an_old_cseq_is_refused() -> None:
    async def scene(house: Exchange) -> None:
        phone = house.phone()
        await phone.register()
        phone.cseq = 0
        assert (await phone.register()).status == 500  # RFC 3261 §10.3 step 7
        phone.call_id = "another"
        phone.cseq = 0
        assert (await phone.register()).status == 200

    simulate(play(scene))


def test_the_eleventh_contact_takes_the_place_of_the_oldest() -> None:
    async def scene(house: Exchange) -> None:
        phone = house.phone()
        for port in range(1, 13):
            response = await phone.register(("Contact", f"<sip:alice@10.0.0.101:{port}>"))
            await asyncio.sleep(2)
        assert response.status == 200
        assert sorted(contacts(house)) == sorted(f"sip:alice@10.0.0.101:{port}" for port in range(3, 13))
        many = ", ".join(f"<sip:alice@10.0.0.101:{port}>" for port in range(100, 111))
        assert (await phone.register(("Contact", many))).status == 403

    simulate(play(scene))


def test_an_account_may_be_allowed_fewer_telephones() -> None:
    async def scene(house: Exchange) -> None:
        house.contacts_allowed = 1
        phone = house.phone()
        for port in (1, 2):
            await phone.register(("Contact", f"<sip:alice@10.0.0.101:{port}>"))
        assert contacts(house) == ["sip:alice@10.0.0.101:2"]

    simulate(play(scene))


@pytest.mark.parametrize("contact", ["<sip:a@b", "<mailto:x@y>", "<tel:+1>", "sip:"])
def test_contacts_that_cannot_be_used_are_400(contact: str) -> None:
    async def scene(house: Exchange) -> None:
        assert (await house.phone().register(("Contact", contact))).status == 400
        assert len(house.bindings) == 0

    simulate(play(scene))


def test_a_phone_that_starts_again_replaces_its_own_instance() -> None:
    async def scene(house: Exchange) -> None:
        instance = ';+sip.instance="<urn:uuid:1>";reg-id=1'
        for port in (5060, 5070):
            phone = house.phone("alice", port=port)
            await phone.register(("Contact", f"<sip:alice@{phone.local[0]}:{port}>{instance}"))
        assert contacts(house) == [f"sip:alice@{phone.local[0]}:5070"]

    simulate(play(scene))


def test_a_phone_that_moves_replaces_its_old_address_and_others_stay() -> None:
    async def scene(house: Exchange) -> None:
        agent = ("User-Agent", "Phone/1")
        phone, neighbour = house.phone("alice"), house.phone("alice", host="10.0.0.101", port=5090)
        await neighbour.register(agent)  # the same kind at the same address is another one
        await phone.register(agent)
        await phone.register(agent, ("Contact", "<sip:alice@10.0.0.101:5070>"))
        assert sorted(contacts(house)) == ["sip:alice@10.0.0.101:5070", "sip:alice@10.0.0.101:5090"]
        await phone.register(agent, ("Contact", "<sip:line2@10.0.0.101:5070>"))
        assert len(contacts(house)) == 3
        both = "<sip:line2@10.0.0.101:5070>, <sip:line2@10.0.0.101:5071>"
        await phone.register(agent, ("Contact", both))
        assert len(contacts(house)) == 4

    simulate(play(scene))


def test_a_phone_that_starts_again_replaces_an_address_that_answers_no_more() -> None:
    async def scene(house: Exchange) -> None:
        agent = ("User-Agent", "Phone/1")
        phone = house.phone("alice")
        await phone.register(agent)
        (old,) = house.bindings.contacts(house.account_id("alice"))
        phone.call_id = "after-the-start"
        await phone.register(agent, ("Contact", f"<sip:alice@{phone.local[0]}:5070>"))
        assert len(contacts(house)) == 2
        house.bindings.judge(old, Health(2, False))
        await phone.register(agent, ("Contact", f"<sip:alice@{phone.local[0]}:5070>"))
        assert contacts(house) == [f"sip:alice@{phone.local[0]}:5070"]

    simulate(play(scene))


def test_a_phone_behind_nat_is_reached_where_it_came_from() -> None:
    async def scene(house: Exchange) -> None:
        phone = house.phone("alice", host="198.51.100.7", port=40_000)
        phone.said = ("192.168.1.2", 5060)
        response = await phone.register()
        assert response.top_via.params["received"] == "198.51.100.7"
        assert response.top_via.rport == 40_000
        (binding,) = house.bindings.contacts(house.account_id("alice"))
        assert binding.flow == Flow("udp", SERVER, ("198.51.100.7", 40_000))
        assert binding.contact == "sip:alice@192.168.1.2:5060"
        neighbour = house.phone("alice", host="203.0.113.9", port=41_000)
        neighbour.said = ("192.168.1.2", 5060)
        await neighbour.register()
        assert len(house.bindings.contacts(house.account_id("alice"))) == 2

    simulate(play(scene))


@pytest.mark.parametrize(
    ("contact", "rport", "path", "port"),
    [
        ("<sip:a@198.51.100.7:6060>", "", False, 6060),  # it sends from one port, and listens at another
        ("<sip:a@198.51.100.7>", "", False, 5060),
        ("<sip:a@198.51.100.7:6060>", ";rport", False, 40_000),  # RFC 3581: answers and requests to its source
        ("<sip:a@phone.example:6060>", "", False, 40_000),  # a name may mean anybody
        ("<sip:a@192.168.1.2:6060>", "", False, 40_000),
        ("<sip:a@198.51.100.7:6060>", "", True, 40_000),  # RFC 3327: by the proxy that it came through
    ],
)
def test_where_a_udp_telephone_is_reached(contact: str, rport: str, path: bool, port: int) -> None:
    request = Request("REGISTER", f"sip:{DOMAIN}")
    request.add("Via", f"SIP/2.0/UDP 198.51.100.7:6060;branch=z9hG4bK1{rport}")
    if path:
        request.add("Path", "<sip:198.51.100.7;lr>")
    flow = Flow("udp", SERVER, ("198.51.100.7", 40_000))
    assert way_back(request, NameAddress.parse(contact).uri, flow) == Flow("udp", SERVER, ("198.51.100.7", port))


def test_bindings_end_on_time_and_their_news_is_told_once() -> None:
    async def scene(house: Exchange) -> None:
        heard: list[int] = []
        house.bindings.listen(heard.append)
        phone = house.phone()
        await phone.register(("Expires", "100"))
        await asyncio.sleep(80)
        await phone.register(("Expires", "100"))
        await asyncio.sleep(80)
        assert len(contacts(house)) == 1
        await asyncio.sleep(30)
        assert contacts(house) == []
        assert len(house.bindings) == 0
        assert house.metrics.value("pbx.registrar.expired") == 1
        assert heard == [house.account_id("alice")]  # the refresh was no news
        await phone.register(("Expires", "100"))
        assert len(heard) == 2

    simulate(play(scene))


async def _rows(house: Exchange) -> list[tuple[str, float]]:
    database = await house.databases.main()
    return await database.read(
        lambda connection: list(connection.execute("SELECT contact, expires_at FROM bindings ORDER BY contact"))
    )


def test_a_new_binding_is_stored_before_its_200_and_a_refresh_soon_after() -> None:
    async def scene(house: Exchange) -> None:
        phone = house.phone()
        (await house.databases.main()).latency = 0.5
        before = house.clock.now()
        await phone.register()
        assert house.clock.now() - before >= 0.5
        first = await _rows(house)
        assert len(first) == 1
        await asyncio.sleep(60)
        before = house.clock.now()
        await phone.register()
        assert house.clock.now() - before < 0.1
        assert await _rows(house) == first
        await asyncio.sleep(10)
        assert (await _rows(house))[0][1] == pytest.approx(first[0][1] + 60, abs=1)

    simulate(play(scene))


def test_bindings_survive_a_restart_and_a_crash() -> None:
    async def scene(house: Exchange) -> None:
        phone = house.phone()
        await phone.register(("Contact", "<sip:alice@10.0.0.101:5060;x=Y>;q=0.3"))
        short = house.phone("bob")
        await short.register(("Expires", "60"))
        before = list(house.bindings.contacts(house.account_id("alice")))
        house.databases.crash()
        await house.close()
        await asyncio.sleep(100)
        await house.start()
        assert house.bindings.contacts(house.account_id("alice")) == before
        assert contacts(house, "bob") == []
        assert (await phone.register()).status == 200

    simulate(play(scene))


def test_a_store_that_fails_is_503_and_the_binding_is_not_kept() -> None:
    async def scene(house: Exchange) -> None:
        phone: Phone = house.phone()
        database = await house.databases.main()
        database.latency = 1.0
        house.clock.call_later(0.5, database.crash)
        response = await phone.register()
        assert (response.status, response.has("Retry-After")) == (503, True)
        assert len(house.bindings) == 0
        assert (await phone.register()).status == 200

    simulate(play(scene))


def test_path_is_kept_and_given_back() -> None:
    async def scene(house: Exchange) -> None:
        response = await house.phone().register(("Path", "<sip:edge.example;lr>"), ("Supported", "path"))
        assert response.get_all("Path") == ["<sip:edge.example;lr>"]  # RFC 3327 §5.3
        assert house.bindings.all()[0].path == ("<sip:edge.example;lr>",)

    simulate(play(scene))


def test_expires_is_cut_out_and_nothing_else() -> None:
    assert without_expires("<sip:a@b;expires=9>;expires=60;q=1") == "<sip:a@b;expires=9>;q=1"
    assert without_expires('<sip:a@b> ; Expires = "60" ;x') == "<sip:a@b> ;x"
    assert without_expires("<sip:a@b>;x-expires=3") == "<sip:a@b>;x-expires=3"


def test_addresses_that_mean_the_same_are_one_contact() -> None:
    flow = Flow("udp", SERVER, ("198.51.100.7", 5060))

    def key(text: str) -> str:
        return contact_key(NameAddress.parse(text), flow)

    assert key("<sip:a@Host.Example:5060>") == key("<sip:a@host.example:5060;x=1>;q=0.1")
    assert key("<sip:a@host.example>") != key("<sip:A@host.example>")
    assert key("<sip:a@host.example>") != key("<sip:a@host.example;transport=tcp>")


def test_requests_follow_a_phone_that_registers_from_elsewhere() -> None:
    home, port, address = (
        Flow("udp", SERVER, place) for place in (("198.51.100.1", 1), ("198.51.100.1", 2), ("9.9.9.9", 3))
    )
    table = Bindings(ManualClock())
    table.follow(home, port)
    table.follow(port, address)
    assert table.way(home) == table.way(port) == address
    table.follow(address, home)  # it is back where it was
    assert {table.way(flow) for flow in (home, port, address)} == {home}


def test_a_phone_whose_router_has_another_address_leaves_no_binding_behind() -> None:
    """The Call-ID tells that it is the same one (RFC 3261 §10.2.4), whatever we see of it."""

    def seen(source: str, call_id: str, cseq: int) -> Binding:
        flow = Flow("udp", SERVER, (source, 5060))
        contact = "sip:alice@192.168.1.2:5060"
        key = contact_key(NameAddress.parse(f"<{contact}>"), flow)
        return Binding(1, key, contact, f"<{contact}>", flow, 2e9, call_id, cseq)

    before = seen("198.51.100.1", "once", 1)
    assert same_registration(before, seen("198.51.100.2", "once", 2))
    assert not same_registration(before, seen("198.51.100.2", "another", 1)), "two homes may both have a 192.168.1.2"
    assert same_registration(before, seen("198.51.100.1", "another", 1))
