"""An analog line behind a Sipura, set up as the reviewed guide says (sections V.B and V.C)."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.gateways.sipura.conftest import Office
from tests.gateways.sipura.spa import PACKET, Spa
from tests.phone import TestPhone
from tests.scenes.site import DOMAIN
from tests.tones import make_tone, seconds_heard, seconds_of_sound

pytestmark = pytest.mark.scene

LINE, DESK = 440.0, 620.0
ROUTER = f"""
NoRelay:Signal:<1*@{DOMAIN}> = 1*@192.168.1.2
N:S:<9*@{DOMAIN}> = *@192.168.1.2
N:S:<011*@{DOMAIN}> = 011*@192.168.1.2
N:S:<+(10+d)@*> = +*@192.168.1.2
N:S:<(10+d)@{DOMAIN}> = *@192.168.1.2
"""
"""The lines of the guide. The first that fits decides, so that of ten digits and more stands last."""

AMERICAN = ("--disconnect-tone", "us")
BUSY = (480.0, 620.0)


async def test_calls_of_the_guide_in_and_out(office: Office, tone: Callable[[float], Path], tmp_path: Path) -> None:
    """PSTN → 200 → attendant → extension, then extension → PSTN."""
    await routed(office, tmp_path)
    await office.site.tandem("network", "set", "TrustedPeers", "192.168.1.2")
    async with await office.alice() as alice, await office.spa() as spa:
        await spa.play(tone(LINE))
        await alice.play(tone(DESK))

        call = await spa.rings()
        await spa.wait_state("confirmed", call)  # the attendant
        await spa.wait_media(call)
        await spa.send_dtmf("201", call)
        ringing = await alice.wait_incoming(timeout=20)
        await alice.answer(ringing)
        await alice.wait_state("confirmed", ringing)
        begun, before = time.monotonic(), await spa.statistics(call)
        await heard_by_both(alice, ringing, spa, tmp_path)
        packets = (await spa.statistics(call))["sent"] - before["sent"]
        assert packets / (time.monotonic() - begun) < 1.2 * 1000 / PACKET, "packets of 30 ms"
        await alice.hangup(ringing)
        await spa.wait_state("disconnected", call)

        outward = await alice.call(f"sip:95551234567@{DOMAIN}")
        line, digits = await spa.seizes()
        assert digits == "5551234567"
        await alice.wait_state("confirmed", outward)
        await heard_by_both(alice, outward, spa, tmp_path)
        await alice.hangup(outward)
        await spa.wait_state("disconnected", line)
    records = {record["dialled"]: record for record in await office.site.calls(3)}
    assert records[f"sip:pbx@{DOMAIN}"]["program"] == "pbx"
    assert records[f"sip:95551234567@{DOMAIN}"]["callee"] == "5551234567@192.168.1.2"


@pytest.mark.proof
async def test_a_number_rung_beside_others_takes_the_call_by_a_key_only(
    office: Office, tone: Callable[[float], Path], tmp_path: Path
) -> None:
    """The adapter answers at once. Alice takes the first call at her telephone, the second on the line."""
    await routed(office, tmp_path)
    await office.site.tandem("trunk", "add", "line", "192.168.1.2", "--no-register", *AMERICAN, "--supervision", "key")
    await office.site.tandem("rule", "add", "alice", "Mobile", "--do", "Fork to 95551234567")
    bob = await office.site.phone_at("bob", office.desk)
    async with await office.alice() as alice, bob, await office.spa() as spa:
        await spa.play(tone(LINE))
        await bob.play(tone(DESK))

        first = await bob.call(f"sip:201@{DOMAIN}")
        ringing = await alice.wait_incoming()
        await spa.record(tmp_path / "prompt.wav")
        line, digits = await spa.seizes()
        assert digits == "5551234567"
        await spa.listen(2.0, line)
        await spa.stop_record()
        assert seconds_of_sound(tmp_path / "prompt.wav") > 1.0
        await alice.answer(ringing)
        await bob.wait_state("confirmed", first)
        await spa.wait_state("disconnected", line)
        await bob.hangup(first)
        await alice.wait_state("disconnected", ringing)

        second = await bob.call(f"sip:201@{DOMAIN}")
        ringing = await alice.wait_incoming()
        line, _ = await spa.seizes()
        await spa.send_dtmf("1", line)
        await bob.wait_state("confirmed", second)
        await alice.wait_state("disconnected", ringing)
        await heard_by_both(bob, second, spa, tmp_path)
        await spa.far_end_hangs_up(tmp_path, *BUSY)
        await spa.wait_state("disconnected", line)
        await bob.wait_state("disconnected", second)
    causes = [record["cause"] for record in await office.site.calls(2)]
    assert "disconnect tone" in causes


@pytest.mark.proof
async def test_a_message_left_over_the_line_ends_by_the_busy_tone_and_has_none_of_it(
    office: Office, tone: Callable[[float], Path], tmp_path: Path
) -> None:
    site = office.site
    await site.tandem("trunk", "add", "line", "192.168.1.2", "--no-register", *AMERICAN)
    await site.tandem("setting", "set", "pbx", "DivertAlways", "alice")
    await site.tandem("prompts", "put", "mailgreeting.wav", str(make_tone(tmp_path / "greeting.wav", 900, seconds=0.3)))
    async with await office.spa() as spa:
        call = await spa.rings()
        await spa.wait_state("confirmed", call)
        await spa.play(tone(LINE))
        await spa.listen(4.0, call)
        await spa.far_end_hangs_up(tmp_path, *BUSY)
        await spa.wait_state("disconnected", call)
    await site.save_message("alice", await site.password("alice"), tmp_path / "message.wav")
    assert seconds_heard(tmp_path / "message.wav", LINE) > 2.0
    assert seconds_heard(tmp_path / "message.wav", BUSY[0], least=0.2) == 0


async def routed(office: Office, folder: Path) -> None:
    """The guide's Router."""
    table = folder / "router.txt"
    table.write_text(ROUTER)
    await office.site.tandem("router", "set", str(table))


async def heard_by_both(alice: TestPhone, call: int, spa: Spa, folder: Path) -> None:
    """Alice hears the line, and the line her."""
    await alice.record(folder / "alice.wav")
    await spa.record(folder / "line.wav")
    await alice.listen(1.5, call)
    await alice.stop_record()
    await spa.stop_record()
    assert seconds_heard(folder / "alice.wav", LINE) > 1.0
    assert seconds_heard(folder / "line.wav", DESK) > 1.0
