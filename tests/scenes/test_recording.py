"""Scenes: calls of real telephones are recorded, and the file has each party on its own side."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.scenes.site import Site
from tests.scenes.test_transfer import talk
from tests.tones import share

pytestmark = pytest.mark.scene
Tone = Callable[..., Path]
ALICE, BOB = 440, 850


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
        assert share(side, rate, own) > 0.9
        assert share(side, rate, other) < 0.01
        assert -25 < 20 * np.log10(np.sqrt(np.mean(side**2))) < -5
    heard, rate = soundfile.read(tmp_path / "alice.wav")
    beep = max(share(heard[at : at + rate // 10], rate, 1000) for at in range(0, len(heard) - rate // 10, rate // 10))
    assert beep > 0.9, "she was told"
    assert row["name"] in await site.tandem("records")
    await site.tandem("recording", "delete", row["name"])
    assert await site.listing("recording", "list") == []
