"""Scenes: a browser's telephone (JsSIP in Chromium) over WSS with DTLS-SRTP, and telephones of other makes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.interop.browser import PRESENT, Browser
from tests.interop.site import Everywhere

pytestmark = [pytest.mark.scene, pytest.mark.skipif(not PRESENT, reason="Chromium or JsSIP is not installed")]
Tone = Callable[..., Path]


async def test_it_hears_itself(site: Everywhere, tone: Tone, tmp_path: Path) -> None:
    alice = Browser("alice", tmp_path / "alice", tone(440))
    async with alice:
        await alice.start(site, await site.password("alice"))
        await alice.call("600")
        await alice.news.wait("confirmed")
        await alice.hears(440)
        await alice.hang_up()
        await alice.news.wait("ended")
