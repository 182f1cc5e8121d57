"""What the Router's table means at the doors: addresses that lead nowhere, and names of logins."""

from __future__ import annotations

from directory.model import NullRoute
from tests.directory.fixtures import DOMAIN
from tests.pbx.exchange import Exchange, play
from tests.simulation.virtual import simulate

TABLE = f"""\
<void@{DOMAIN}> = null
Access:<a-*@{DOMAIN}> = *
Access:<202@{DOMAIN}> = error
Access:old.example = {DOMAIN}
"""


def test_a_message_to_null_is_taken_and_a_call_is_not() -> None:
    async def scene(house: Exchange) -> None:
        await house.directory.set_router(TABLE)
        phone = house.phone()
        assert (await phone.prove(phone.request("MESSAGE", f"sip:void@{DOMAIN}"))).status == 200
        assert house.metrics.value("pbx.messages.discarded") == 1
        await phone.prove(phone.request("INVITE", f"sip:void@{DOMAIN}"))
        assert isinstance(house.calls.invites[-1][2].route, NullRoute)

    simulate(play(scene))


def test_the_router_leads_logins() -> None:
    async def scene(house: Exchange) -> None:
        await house.directory.set_router(TABLE)
        for user, username, status in (
            ("a-alice", "a-alice", 200),
            ("alice", "a-201", 200),
            ("alice", "alice@old.example", 200),
            ("bob", "bob", 200),
            ("bob", "202", 403),
        ):
            phone = house.phone(user, password=f"{user.removeprefix('a-')}-secret")
            assert (await phone.register(username=username)).status == status, username
        assert house.bindings.contacts(house.account_id("alice"))

    simulate(play(scene))
