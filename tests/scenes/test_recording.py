"""Scenes: calls of real telephones are recorded, and the file has each party on its own side."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.scenes.site import DOMAIN, Site
from tests.scenes.test_transfer import talk
from tests.tones import seconds_heard, share

pytestmark = pytest.mark.scene
Tone = Callable[..., Path]
ALICE, BOB, CAROL = 440, 850, 1400


async def test_a_call_is_recorded_by_rule_and_can_be_had_again(site: Site, tone: Tone, tmp_path: Path) -> None:
    await site.tandem("setting", "set", "bob", "RecordAlways", "YES")
    await site.tandem("setting", "set", "bob", "RecordAnnounce", "recordingbeep")
    async with AsyncExitStack() as stack:
        alice = await stack.enter_async_context(await site.phone("alice", await site.password("alice")))
        bob = await stack.enter_async_context(await site.phone("bob", await site.password("bob"), codecs=["PCMA"]))
        await alice.play(tone(ALICE))
        await bob.play(tone(BOB))
        await alice.record(tmp_path / "alice.wav")
        hers, _ = await talk(alice, bob, "202")
        await alice.listen(2.0, hers)
        await alice.stop_record()
        await alice.hangup(hers)
        (record,) = await site.calls()
    (row,) = await site.listing("recording", "list", "--account", "alice")
    assert row["call"] == record["id"]
    await site.tandem("recording", "export", row["name"], str(tmp_path / "call.wav"))
    sound, rate = soundfile.read(tmp_path / "call.wav")
    assert rate == 8000
    assert len(sound) == pytest.approx(record["duration"] * rate, abs=rate)
    middle = sound[len(sound) // 2 :][: rate // 2]
    for side, own, other in ((middle[:, 0], ALICE, BOB), (middle[:, 1], BOB, ALICE)):
        assert share(side, rate, own) > 0.8
        assert share(side, rate, other) < 0.01
        assert -25 < 20 * np.log10(np.sqrt(np.mean(side**2))) < -5
    heard, rate = soundfile.read(tmp_path / "alice.wav")
    beep = max(share(heard[at : at + rate // 10], rate, 1000) for at in range(0, len(heard) - rate // 10, rate // 10))
    assert beep > 0.9, "she was told"
    assert row["name"] in await site.tandem("records")
    await site.tandem("recording", "delete", row["name"])
    assert await site.listing("recording", "list") == []


async def test_a_key_records_and_a_third_one_listens(site: Site, tone: Tone, tmp_path: Path) -> None:
    """Bob presses the key in a call that the server encrypts and translates; Carol hears both, and nobody hears her."""
    await site.tandem("setting", "set", "bob", "RecordByKey", "YES")
    await site.tandem("setting", "set", "bob", "RecordAnnounce", "")
    await site.tandem("setting", "set", "bob", "MonitoredBy", "carol")
    secret = await site.add("carol", "203")
    async with AsyncExitStack() as stack:
        alice = await stack.enter_async_context(
            await site.phone("alice", await site.password("alice"), codecs=["G722"], srtp="required")
        )
        bob = await stack.enter_async_context(await site.phone("bob", await site.password("bob"), codecs=["PCMU"]))
        carol = await stack.enter_async_context(await site.phone("carol", secret))
        for phone, hertz in ((alice, ALICE), (bob, BOB), (carol, CAROL)):
            await phone.play(tone(hertz))
        hers, his = await talk(alice, bob, "202")
        await bob.send_dtmf("*1", his)
        third = await carol.call(f"sip:*33202@{DOMAIN}")
        await carol.wait_state("confirmed", third)
        for phone in (alice, bob, carol):
            await phone.record(tmp_path / f"{phone.name}.wav")
        await carol.listen(2.0, third)
        for phone in (alice, bob, carol):
            await phone.stop_record()
        await alice.hangup(hers)
        await carol.wait_state("disconnected", third)
        records = await site.calls(2)
    (row,) = await site.listing("recording", "list")
    await site.tandem("recording", "export", row["name"], str(tmp_path / "call.wav"))
    sound, rate = soundfile.read(tmp_path / "call.wav")
    assert 2.0 < len(sound) / rate < max(record["duration"] for record in records) + 1.0
    middle = sound[-rate:][: rate // 2]
    for side, own in ((middle[:, 0], ALICE), (middle[:, 1], BOB)):
        assert share(side, rate, own) > 0.8
    for name, heard in (("alice", {BOB}), ("bob", {ALICE}), ("carol", {ALICE, BOB})):
        for hertz in (ALICE, BOB, CAROL):
            seconds = seconds_heard(tmp_path / f"{name}.wav", hertz, least=0.1)  # G.722 of pjsip is soft
            assert (seconds > 1.0) if hertz in heard else (seconds < 0.2), (name, hertz, seconds)
    lines = (await site.tandem("records", "--json")).splitlines()
    events = json.loads(next(line for line in lines if row["name"] in line))["events"]
    assert sorted(event["what"] for event in events) == ["monitored", "recorded"]


@pytest.mark.proof
async def test_what_was_recorded_when_the_server_is_killed_is_kept(site: Site, tone: Tone, tmp_path: Path) -> None:
    await site.tandem("setting", "set", "bob", "RecordAlways", "YES")
    async with AsyncExitStack() as stack:
        alice = await stack.enter_async_context(await site.phone("alice", await site.password("alice")))
        bob = await stack.enter_async_context(await site.phone("bob", await site.password("bob")))
        await alice.play(tone(ALICE))
        hers, _ = await talk(alice, bob, "202")
        await alice.listen(4.0, hers)
        await site.kill()
        await site.start()
        (row,) = await site.listing("recording", "list")
        assert row["cause"] == "server stopped"
        await site.tandem("recording", "export", row["name"], str(tmp_path / "call.wav"))
        sound, rate = soundfile.read(tmp_path / "call.wav")
        assert 2.5 < len(sound) / rate == pytest.approx(row["seconds"], abs=0.1)
        assert share(sound[-rate:, 0], rate, ALICE) > 0.8
        assert row["name"] in await site.tandem("records", "--json")
