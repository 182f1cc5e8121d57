"""Scenes: two carriers in an order, played by SIPp and by another Tandem, and what the administrator sees of them."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.scenes.site import Site
from tests.scenes.test_sipp import Sipp, callee, reply
from tests.tones import seconds_heard

pytestmark = pytest.mark.scene
CHEAP, DEAR = 26_062, 26_072


@pytest.mark.skipif(shutil.which("sipp") is None, reason="sipp is not installed")
async def test_a_call_that_one_carrier_cannot_take_talks_by_the_next(
    site: Site, tone: Callable[..., Path], tmp_path: Path
) -> None:
    """The first has no circuit; the second rings, answers, and sends back what it hears."""
    for name, port in (("cheap", CHEAP), ("dear", DEAR)):
        await site.tandem(
            "trunk", "add", name, f"{name}.test", "--proxy", f"{site.host}:{port}", "--no-register", "--options", "0"
        )
    table = tmp_path / "router.txt"
    table.write_text("N:S:<8*@tandem.test> = *@cheap, *@dear\n")
    assert "warning" not in await site.tandem("router", "set", str(table))
    told = await site.tandem("route", "8030123", "--from", "alice")
    assert "030123@cheap, else 030123@dear" in told
    assert "the trunk dear is not asked" in told
    table.write_text("N:S:<8*@tandem.test> = *@cheap, *@deer\nN:S:<7*@tandem.test> = *@gone\nN:S:<*@gone> = *@dear\n")
    told = await site.tandem("router", "check", str(table))
    assert "line 1: deer is no trunk and no domain" in told
    assert "gone is no" not in told  # it is led on
    sipp = Sipp(site, tmp_path)
    full = '<recv request="INVITE"/>' + reply("503 No Circuit") + '<recv request="ACK"/>'
    alice = await site.phone("alice", await site.password("alice"))
    async with alice, sipp.serving(full, CHEAP, 1):
        echo = await sipp.start(callee(0), "-rtp_echo", "-mp", "26100", port=DEAR)
        await alice.record(tmp_path / "heard.wav")
        await alice.play(tone(620))
        call = await alice.call("sip:8030123@tandem.test")
        await alice.wait_state("confirmed", call)
        await alice.listen(1.5, call)
        await alice.hangup(call)
        await alice.stop_record()
        await sipp.finish(echo)
    assert seconds_heard(tmp_path / "heard.wav", 620) > 1.0
    (record,) = await site.calls()
    assert (record["outcome"], record["callee"]) == ("answered", "030123@dear")


async def test_a_gateway_that_is_asked_is_known_by_what_it_answers(site: Site, tmp_path: Path) -> None:
    async with Site(tmp_path / "gateway", domain="gateway.test") as gateway:
        proxy = f"{gateway.host}:{gateway.sip_port}"
        await site.tandem(
            "trunk", "add", "gate", "gateway.test", "--proxy", proxy, "--transport", "tcp", "--no-register"
        )
        told = await site.tandem("trunk", "test", "gate")
        assert "the provider answered 200 OK" in told
        assert told.endswith("gate is up\n")
        (row,) = await site.listing("trunk", "list")
        assert (row["state"], row["said"]) == ("up", "")
    told = await site.tandem("trunk", "test", "gate", expect=1)
    assert "not reached" in told
    (row,) = await site.listing("trunk", "list")
    assert row["state"] == "down"
    assert row["next"] <= 15
    await site.tandem("trunk", "change", "gate", "--options", "0")
    async with asyncio.timeout(5):
        while (await site.listing("trunk", "show", "gate"))["state"] != "not asked":
            await asyncio.sleep(0.1)
    assert "options" in await site.tandem("trunk", "change", "gate", "--options", "5", expect=1)
