"""Fixtures: a world of namespaces with a server on its public segment."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from tests.nat.site import NatSite
from tests.nat.world import World, lacking
from tests.tones import make_tone


@pytest.fixture(scope="session")
def namespaces() -> None:
    """Skip where they cannot be had; `tests/pbx/b2bua/test_anchored.py` plays on a virtual network what is behind a
    router."""
    reason = lacking()
    if reason:
        pytest.skip(reason)


@pytest.fixture
def world(namespaces: None) -> Iterator[World]:
    with World() as made:
        yield made


@pytest.fixture
async def site(world: World, tmp_path: Path) -> AsyncIterator[NatSite]:
    async with NatSite(tmp_path / "site", world.host("server", world.public, 10)) as started:
        yield started


@pytest.fixture
def tone(tmp_path: Path) -> Callable[[float], Path]:
    """A WAV of one frequency, long enough for any scene."""

    def make(frequency: float, seconds: float = 30.0) -> Path:
        return make_tone(tmp_path / f"tone-{frequency:.0f}.wav", frequency, seconds=seconds)

    return make
