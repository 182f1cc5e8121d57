"""What somebody dials does not reach the other services of this machine or link, by whatever name he calls them."""

from __future__ import annotations

import pytest

from base.clock import ManualClock
from base.entropy import SeededEntropy
from base.failures import Failure
from base.metrics import Metrics
from pbx.sipcore.uri import Uri
from pbx.transport.memory import MemoryNetwork
from pbx.transport.network import Srv
from pbx.transport.stack import SipStack, StackSettings
from tests.pbx.transport.site import Core

NAMES = {"inside.example": ("127.0.0.1",), "far.example": ("192.0.2.9",), "both.example": ("127.0.0.1", "192.0.2.9")}
SERVICES = {"_sip._udp.sneaky.example": (Srv(1, 0, 6379, "inside.example"),)}


async def stack(host: str) -> SipStack:
    network = MemoryNetwork(ManualClock(), names=NAMES, services=SERVICES)
    made = SipStack(
        network, ManualClock(), SeededEntropy(), Metrics(), StackSettings(udp=((host, 5060),), tcp=((host, 5060),))
    )
    made.attach(Core())
    await made.start()
    return made


@pytest.mark.parametrize(
    "uri",
    [
        "sip:x@127.0.0.1:6379;transport=tcp",
        "sip:x@127.77.0.1",
        "sip:x@0.0.0.0",
        "sip:x@169.254.169.254",
        "sip:x@224.0.1.75",
        "sip:x@255.255.255.255",
        "sip:x@inside.example:6379",
        "sip:x@sneaky.example",
    ],
)
@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1"])
async def test_nobody_is_sent_to_this_machine_or_link(host: str, uri: str) -> None:
    using = await stack(host)
    with pytest.raises(Failure, match="No connection"):
        await using.flow_to(Uri.parse(uri))
    await using.close()


async def test_of_several_places_the_one_elsewhere_is_taken() -> None:
    using = await stack("0.0.0.0")
    assert (await using.flow_to(Uri.parse("sip:x@both.example"))).remote == ("192.0.2.9", 5060)
    await using.close()


async def test_a_peer_that_the_administrator_has_named_is_reached() -> None:
    using = await stack("0.0.0.0")
    assert (await using.flow_to(Uri.parse("sip:x@127.0.0.1:5070"), configured=True)).remote == ("127.0.0.1", 5070)
    using.know_peers(lambda address: address == "127.0.0.1")
    assert (await using.flow_to(Uri.parse("sip:x@127.0.0.1:5070"))).remote == ("127.0.0.1", 5070)
    await using.close()


async def test_a_server_that_stands_on_loopback_has_its_peers_there() -> None:
    using = await stack("127.0.31.9")
    assert (await using.flow_to(Uri.parse("sip:x@127.0.31.10"))).remote == ("127.0.31.10", 5060)
    await using.close()
