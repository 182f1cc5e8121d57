"""Fixtures of the scenes with programs of others: a site with every transport, and the tones that people speak."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from tests.interop.site import Everywhere
from tests.tones import make_tone


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Everywhere]:
    async with Everywhere(tmp_path / "site") as started:
        yield started


@pytest.fixture
def tone(tmp_path: Path) -> Callable[[float], Path]:
    """A WAV of one frequency, long enough for any scene."""

    def make(frequency: float, seconds: float = 30.0) -> Path:
        return make_tone(tmp_path / f"tone-{frequency:.0f}-{seconds:.0f}.wav", frequency, seconds=seconds)

    return make
