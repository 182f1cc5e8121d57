"""OPTIONS to a trunk over a real stack: its servers are asked one after another, and the one that is asked is known."""

from __future__ import annotations

import asyncio

from base.clock import LoopClock
from base.entropy import SeededEntropy
from base.storage.inline import InlineDatabases
from directory.secrets import Keyring
from pbx.sipcore.flow import Flow
from pbx.trunk.model import Trunk
from pbx.trunk.trunks import Trunks
from tests.pbx.b2bua.house import BOB, CAROL, DOMAIN, SERVER, House, Phone
from tests.pbx.b2bua.test_failover import FAR, Named
from tests.pbx.policy.test_trunks import invite


async def test_a_server_in_need_is_passed_over_and_all_of_them_together_are_down() -> None:
    async with House(network=Named(LoopClock(asyncio.get_running_loop()))) as house:
        house.phone(BOB, registered=False)
        first, second = (house.phone(CAROL, registered=False) for _ in range(2))
        databases, keyring = InlineDatabases(), Keyring(b"k" * 32, SeededEntropy(2))
        trunks = Trunks(
            house.exchange.clock, SeededEntropy(3), house.metrics, house.stack, await databases.main(), keyring
        )
        await trunks.start()
        await trunks.put(Trunk("gate", FAR, registers=False, target="alice"), "")
        line = trunks.line("gate")

        testing = asyncio.create_task(line.test(5))
        first.answer(await first.request("OPTIONS"), 503)
        request = await second.request("OPTIONS")
        assert (request.uri, request.to.uri.host) == (f"sip:{FAR}", FAR)
        second.answer(request, 200)
        assert (await testing)[-1] == "the provider answered 200 OK"
        assert line.condition == "up"
        # calls from the server that has answered are the gateway's, from others they are not
        assert trunks.sending(invite(f"sip:1@{DOMAIN}"), flow_of(second)) is line
        assert trunks.sending(invite(f"sip:1@{DOMAIN}"), flow_of(first)) is None

        testing = asyncio.create_task(line.test(5))
        for server in (second, first):
            server.answer(await server.request("OPTIONS"), 503)
        assert "overloaded" in (await testing)[-1]
        assert line.condition == "down"
        databases.discard()


def flow_of(phone: Phone) -> Flow:
    return Flow("udp", SERVER, phone.local)
