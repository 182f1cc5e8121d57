"""Fixtures of the scenes: a fresh site for each, and the tones that people speak."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from tests.scenes.site import Site
from tests.tones import make_tone


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with Site(tmp_path / "site") as started:
        yield started


@pytest.fixture
def tone(tmp_path: Path) -> Callable[[float], Path]:
    """A WAV of one frequency, long enough for any scene."""

    def make(frequency: float, seconds: float = 30.0) -> Path:
        return make_tone(tmp_path / f"tone-{frequency:.0f}-{seconds:.0f}.wav", frequency, seconds=seconds)

    return make
