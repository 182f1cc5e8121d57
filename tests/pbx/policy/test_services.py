"""Services of accounts that are switched off, and callers who dial that they are not to be shown."""

from __future__ import annotations

import asyncio

from directory.model import AccountRoute, ForeignRoute, UnknownRoute
from tests.directory.fixtures import DOMAIN
from tests.pbx.exchange import Exchange, play
from tests.simulation.virtual import simulate


def test_without_signal_an_account_neither_registers_nor_calls_nor_is_called_but_for_help() -> None:
    async def scene(house: Exchange) -> None:
        await house.directory.set_router("NoRelay:<112@*> = 112@help.test\n")
        alice = house.directory.find_account(DOMAIN, "alice")
        assert alice is not None
        await house.directory.set_setting(alice.id, "AccessModes", "mail,imap")
        phone, other = house.phone("alice"), house.phone("bob")
        refused = await phone.register()
        assert (refused.status, refused.reason) == (403, "Service switched off")
        assert (await phone.prove(phone.request("INVITE", f"sip:bob@{DOMAIN}"))).status == 403
        assert not house.calls.invites
        await phone.prove(phone.request("INVITE", f"sip:112@{DOMAIN}"))
        assert isinstance(house.calls.invites[-1][2].route, ForeignRoute)
        await other.prove(other.request("INVITE", f"sip:201@{DOMAIN}"))
        assert isinstance(house.calls.invites[-1][2].route, UnknownRoute)
        await house.directory.set_setting(alice.id, "AccessModes", "Signal")
        assert (await phone.register()).status == 200

    simulate(play(scene))


def test_who_dials_67_is_hidden_as_if_his_telephone_had_said_so() -> None:
    async def scene(house: Exchange) -> None:
        alice, bob = house.phone("alice"), house.phone("bob")
        await alice.prove(alice.request("INVITE", f"sip:*67202@{DOMAIN}", ("Privacy", "none")))
        transaction, _, resolution = house.calls.invites[-1]
        assert transaction.request.get("Privacy") == "id"
        assert isinstance(resolution.route, AccountRoute)
        assert resolution.route.account.name == "bob"
        await alice.prove(alice.request("INVITE", f"sip:202@{DOMAIN}"))
        assert house.calls.invites[-1][0].request.get("Privacy") is None
        await bob.register()
        message = asyncio.ensure_future(alice.prove(alice.request("MESSAGE", f"sip:*67202@{DOMAIN}")))
        told = await bob.next_request()
        while told.method != "MESSAGE":
            bob.respond(told, 200)
            told = await bob.next_request()
        assert "anonymous.invalid" in str(told.from_.uri)
        bob.respond(told, 200)
        assert (await message).status == 200

    simulate(play(scene))
