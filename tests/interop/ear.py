"""What a telephone has written down of what it hears, measured while it goes on writing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from tests.tones import WINDOW, Samples, share

_HEADER = 44


class Ear:
    """WAV files of one channel and 16 bits; there may be more of them later. Their headers tell nothing true until they
    are closed: whatever stands behind them is sound, at one of these rates."""

    def __init__(self, files: Callable[[], Iterable[Path]], rates: tuple[int, ...] = (8000,)) -> None:
        self._files = files
        self._rates = rates

    def _lengths(self) -> dict[Path, int]:
        """Octets."""
        return {path: path.stat().st_size for path in self._files() if path.exists()}

    def _since(self, marks: dict[Path, int]) -> Iterable[Samples]:
        for path in self._files():
            raw = path.read_bytes() if path.exists() else b""
            start = max(_HEADER, marks.get(path, 0))
            if len(raw) > start:
                end = len(raw) - (len(raw) - start) % 2
                yield np.frombuffer(raw[start:end], "<i2") / 32768

    def _seconds(self, marks: dict[Path, int], frequency: float) -> float:
        parts = self._since(marks)
        return sum(max(_seconds_at(rate, samples, frequency) for rate in self._rates) for samples in parts)

    async def hears(self, frequency: float, seconds: float = 0.8, *, within: float = 15.0) -> None:
        """Wait until it has heard that tone for so long from now on."""
        marks = self._lengths()
        try:
            async with asyncio.timeout(within):
                while self._seconds(marks, frequency) < seconds:
                    await asyncio.sleep(0.1)
        except TimeoutError:
            heard, sizes = self._seconds(marks, frequency), [len(samples) for samples in self._since(marks)]
            raise AssertionError(f"heard {frequency} Hz for {heard:.1f} s; {sizes} samples came") from None


def _seconds_at(rate: int, samples: Samples, frequency: float) -> float:
    step = round(WINDOW * rate)
    windows = (samples[at : at + step] for at in range(0, len(samples) - step, step))
    return WINDOW * sum(share(window, rate, frequency) >= 0.6 for window in windows)
