"""Flows of one phone (RFC 5626), and phones that lose their connection and come back."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest

from base.clock import LoopClock, ManualClock
from pbx.registrar.bindings import PATIENCE, Binding, Bindings
from pbx.registrar.register import Decision, Limits, Registration, decide
from pbx.sipcore.flow import Flow
from pbx.sipcore.message import Request
from tests.simulation.virtual import simulate

UUID = '"<urn:uuid:00000000-0000-1000-8000-AABBCCDDEEFF>"'
SERVER = ("192.0.2.1", 5060)


def flow(connection: int, host: str = "203.0.113.5", transport: str = "tcp") -> Flow:
    return Flow(transport, SERVER, (host, 40_000 + connection), connection)


def register(
    contact: str, by: Flow, known: Sequence[Binding] = (), *, away: frozenset[str] = frozenset(), number: int = 1,
    supported: str = "path, outbound", path: str = "", call_id: str = "",
) -> Decision:  # fmt: skip
    request = Request("REGISTER", "sip:example.org")
    for name, value in (
        ("Via", f"SIP/2.0/TCP 10.0.0.5:5060;branch=z9hG4bK{number}"),
        ("Call-ID", call_id or f"call{by.connection}"),
        ("CSeq", f"{number} REGISTER"),
        ("Contact", contact),
        ("Supported", supported),
        ("User-Agent", "Phone/1"),
        ("Path", path),
    ):
        if value:
            request.add(name, value)
    return decide(Registration(request, by, 7, 1000.0, Limits(), away), known)


def outbound(number: int) -> str:
    return f"<sip:a@10.0.0.5:5060;transport=tcp;ob>;+sip.instance={UUID};reg-id={number}"


def test_two_flows_of_one_phone_are_two_bindings_of_which_one_rings() -> None:
    first = register(outbound(1), flow(1))
    second = register(outbound(2), flow(2), first.put)

    assert ("Require", "outbound") in first.headers
    assert ("Flow-Timer", "120") in first.headers
    bindings = Bindings(ManualClock())
    bindings.put(_lasting(first.put[0]))
    bindings.put(_lasting(second.put[0]))
    assert len(bindings.contacts(7)) == 2
    assert len(bindings.ringable(7)) == 1
    rung = bindings.ringable(7)[0]
    other = bindings.other_flow(7, [rung.flow], rung.instance)
    assert other is not None
    assert other.flow != rung.flow
    assert bindings.other_flow(7, [rung.flow, other.flow], rung.instance) is None
    bindings.lose_flow(rung.flow)
    assert [each.flow for each in bindings.ringable(7)] == [other.flow]


def test_a_new_connection_replaces_that_of_the_same_reg_id() -> None:
    first = register(outbound(1), flow(1)).put[0]
    again = register(outbound(1).replace("10.0.0.5", "10.0.0.77"), flow(2), [first])

    assert again.put[0].key == first.key
    assert again.put[0].flow == flow(2)


def test_reg_id_counts_only_for_who_supports_outbound() -> None:
    one = register(outbound(1), flow(1), supported="path").put[0]
    two = register(outbound(2), flow(2), [one], supported="path").put[0]

    assert (one.reg_id, two.reg_id) == (0, 0)
    assert one.key == two.key
    assert register(outbound(1), flow(1), supported="path").headers == ()
    assert register("<sip:a@10.0.0.5>;reg-id=1", flow(1)).put[0].reg_id == 0


@pytest.mark.parametrize(
    ("path", "status"),
    [("", 200), ("<sip:edge.example.org;lr>", 439), ("<sip:edge.example.org;lr;ob>", 200),
     ("<sip:in.example.org;lr>, <sip:edge.example.org;lr;ob>", 200),
     ("<sip:in.example.org;lr;ob>, <sip:edge.example.org;lr>", 439)],
)  # fmt: skip
def test_the_first_hop_must_keep_flows(path: str, status: int) -> None:
    assert register(outbound(1), flow(1), path=path).status == status


@pytest.mark.parametrize("odd", ["-1", "x", "99999999999999999999", "4294967296", "", "²"])
def test_odd_reg_ids_are_none(odd: str) -> None:
    contact = f"<sip:a@10.0.0.5>;+sip.instance={UUID};reg-id={odd}" if odd else f"<sip:a@h>;+sip.instance={UUID};reg-id"
    assert register(contact, flow(1)).put[0].reg_id == 0


def test_two_contacts_with_reg_id_in_one_request_are_refused() -> None:
    assert register(f"{outbound(1)}, {outbound(2)}", flow(1)).status == 400


def test_a_phone_that_comes_back_under_a_new_address_replaces_what_it_lost() -> None:
    old = register("<sip:a@10.0.0.5:50001;transport=tcp>", flow(1)).put[0]
    kept = register("<sip:a@10.0.0.9:50001;transport=tcp>", flow(3, "203.0.113.9")).put[0]
    back = register("<sip:a@10.0.0.5:50002;transport=tcp>", flow(2), [old, kept], away=frozenset({old.key, kept.key}))

    assert back.drop == (old,)
    assert back.fresh
    stays = register("<sip:a@10.0.0.5:50002;transport=tcp>", flow(2), [old])
    assert stays.drop == ()  # its connection is there: two phones


def test_a_request_waits_for_a_phone_that_lost_its_connection() -> None:
    async def scene() -> None:
        bindings = Bindings(LoopClock(asyncio.get_running_loop()))
        old = register(outbound(1), flow(1)).put[0]
        bindings.put(_lasting(old))
        bindings.lose_flow(flow(1))
        assert list(bindings.contacts(7)) == []
        assert [each.contact for each in bindings.ringable(7)] == [old.contact]

        waiting = asyncio.create_task(bindings.reach(7, old.contact))
        await asyncio.sleep(2)
        stranger = _lasting(register("<sip:b@10.0.0.8>", flow(8)).put[0])
        bindings.put(stranger)
        bindings.welcome([stranger])
        await asyncio.sleep(1)
        assert not waiting.done()
        back = _lasting(register(outbound(1), flow(2), [old]).put[0])
        bindings.put(back)
        bindings.welcome([back])
        assert await waiting == back
        assert not bindings._waiting
        assert (await bindings.reach(7, back.contact)) == back
        bindings.close()

    simulate(scene())


def test_who_does_not_come_back_is_given_up() -> None:
    async def scene() -> None:
        loop = asyncio.get_running_loop()
        bindings = Bindings(LoopClock(loop))
        bindings.load([_lasting(register(outbound(1), flow(1)).put[0])])  # as after a restart
        contact = bindings.ringable(7)[0].contact
        began = loop.time()
        assert await bindings.reach(7, contact) is None
        assert loop.time() - began == pytest.approx(PATIENCE)
        await asyncio.sleep(60)
        assert list(bindings.ringable(7)) == []
        assert len(bindings.known(7)) == 1
        assert await bindings.reach(7, "sip:nobody@x") is None
        bindings.close()

    simulate(scene())


def test_phones_that_come_and_go_leave_nothing_to_expire() -> None:
    """Each registers a contact of its own for a long time, and takes it back at once."""
    clock = ManualClock()
    bindings = Bindings(clock)
    stays = replace(register(outbound(1), flow(1)).put[0], key="stays", expires_at=clock.wall() + 9000)
    bindings.put(stays)
    for number in range(20_000):
        bindings.put(replace(stays, key=f"goes {number}", flow=flow(2 + number), expires_at=clock.wall() + 7200))
        bindings.drop(7, f"goes {number}")
    assert len(bindings._heap) < 1100
    assert len(bindings._due) == 1
    clock.advance(7300)
    assert [each.key for each in bindings.contacts(7)] == ["stays"]
    clock.advance(1800)
    assert len(bindings) == len(bindings._heap) == 0


def _lasting(binding: Binding) -> Binding:
    return replace(binding, expires_at=9e12)
