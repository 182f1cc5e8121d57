"""A scene: numbers that are looked up by ENUM and by a program, as the administrator sets them up and sees them."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from tests.pbx.lookup.test_lookups import PROGRAM, record
from tests.pbx.transport.test_locate import Zone, name_server
from tests.scenes.site import DOMAIN, Site
from tests.tones import seconds_heard

pytestmark = pytest.mark.scene


@pytest.fixture
async def looking(tmp_path: Path) -> AsyncIterator[tuple[Site, Zone]]:
    """A server that asks a DNS server and a program of ours."""
    records = {("3.2.1.0.3.9.4.e164.test", "NAPTR"): [record(f"sip:bob@{DOMAIN}")]}
    (tmp_path / "helper.py").write_text(PROGRAM)
    async with name_server(records) as (zone, service):
        settings = f"""
[router]
enum_server = "127.0.31.53:{service._port}"
helper = "{sys.executable} {tmp_path / "helper.py"}"
"""
        async with Site(tmp_path / "data", settings) as site:
            yield site, zone


async def test_a_number_is_looked_up_here_and_there(
    looking: tuple[Site, Zone], tone: Callable[..., Path], tmp_path: Path
) -> None:
    site, zone = looking
    table = tmp_path / "router.txt"
    table.write_text("N:S:<+(3-15d)@*> = +*@e164.test.enum, +*@external\n")
    assert "warning" not in await site.tandem("router", "set", str(table))
    told = await site.tandem("route", "+4930123", "--from", "alice")
    assert f"ENUM, 3.2.1.0.3.9.4.e164.test: sip:bob@{DOMAIN}" in told
    assert f"account  bob@{DOMAIN}" in told
    told = await site.tandem("route", "+491", "--from", "alice")
    assert "ENUM, 1.9.4.e164.test: nothing" in told
    assert "the helper program says 'ROUTED +491@home'" in told
    assert "foreign  +491@home" in told
    assert f"account  bob@{DOMAIN}" in await site.tandem("route", "+492", "--from", "alice")
    told = await site.tandem("route", "+493", "--from", "alice")
    assert "ERROR no such number" in told
    assert "nothing was found" in told

    alice = await site.phone("alice", await site.password("alice"))
    bob = await site.phone("bob", await site.password("bob"))
    async with alice, bob:
        await alice.record(tmp_path / "heard.wav")
        await bob.play(tone(620))
        call = await alice.call(f"sip:+4930123@{DOMAIN}")
        await bob.answer(await bob.wait_incoming())
        await alice.wait_state("confirmed", call)
        await alice.listen(1.5, call)
        await alice.hangup(call)
        await alice.stop_record()
    assert seconds_heard(tmp_path / "heard.wav", 620) > 1.0
    (call_record,) = await site.calls()
    assert (call_record["outcome"], call_record["callee"]) == ("answered", f"bob@{DOMAIN}")
    assert zone.asked["3.2.1.0.3.9.4.e164.test", "NAPTR"] == 1
