"""Fixtures: an office with a server, a Sipura at the address of the reviewed guide, and a desk."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.gateways.sipura.spa import Spa
from tests.nat.site import NatSite
from tests.nat.world import Host, World, lacking
from tests.phone import TestPhone
from tests.tones import make_tone

ADAPTER = 2
"""The guide's SPA-3000 is 192.168.1.2."""


@dataclass(frozen=True, slots=True)
class Office:
    """One network; `adapter` and `desk` are machines in it."""

    site: NatSite
    adapter: Host
    desk: Host

    async def alice(self) -> TestPhone:
        """Her telephone, 201."""
        return await self.site.phone_at("alice", self.desk)

    async def spa(self) -> Spa:
        """The adapter, plugged in."""
        spa = Spa(self.adapter)
        await spa.plug_in(self.site)
        return spa


@pytest.fixture
def network() -> Iterator[World]:
    if reason := lacking():
        pytest.skip(reason)
    with World() as world:
        yield world


@pytest.fixture
async def office(network: World, tmp_path: Path) -> AsyncIterator[Office]:
    lan = network.lan("office", "192.168.1.")
    machines = [network.host(name, lan, number) for name, number in (("server", 10), ("spa", ADAPTER), ("desk", 20))]
    async with NatSite(tmp_path / "site", machines[0]) as site:
        yield Office(site, *machines[1:])


@pytest.fixture
def tone(tmp_path: Path) -> Callable[[float], Path]:
    """A WAV of one frequency, long enough for any scene."""
    return lambda frequency: make_tone(tmp_path / f"tone-{frequency:.0f}.wav", frequency, seconds=30)
