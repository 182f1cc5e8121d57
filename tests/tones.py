"""Tones for the scenes: WAV files to speak into a telephone, and a measure of what was heard at the other end."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile

Samples = npt.NDArray[np.float64]
WINDOW = 0.1  # seconds; frequencies that are multiples of 10 Hz fit whole periods in it


def make_tone(path: Path, *frequencies: float, seconds: float = 2.0, rate: int = 8000, amplitude: float = 0.4) -> Path:
    """Write a mono 16-bit WAV with the sum of these sines (none: silence)."""
    soundfile.write(path, tone(*frequencies, seconds=seconds, rate=rate, amplitude=amplitude), rate, subtype="PCM_16")
    return path


def tone(*frequencies: float, seconds: float = 2.0, rate: int = 8000, amplitude: float = 0.4) -> Samples:
    time = np.arange(round(seconds * rate)) / rate
    sound = np.zeros(len(time))
    for frequency in frequencies:
        sound += amplitude / len(frequencies) * np.sin(2 * np.pi * frequency * time)
    return sound


def load(path: Path) -> tuple[Samples, int]:
    """Samples (first channel, -1 to 1) and rate; a file still being written is read as far as it goes."""
    data, rate = soundfile.read(path, dtype="float64", always_2d=True)
    return data[:, 0], rate


def share(samples: Samples, rate: int, frequency: float) -> float:
    """Goertzel: which part of the energy is at `frequency`; 1 for a pure tone of it, 0 for silence."""
    energy = float(np.dot(samples, samples))
    if energy < len(samples) * 1e-6:  # below -60 dB of full scale: silence
        return 0.0
    turn = np.exp(-2j * np.pi * frequency / rate * np.arange(len(samples)))
    return float(2 * abs(np.dot(samples, turn)) ** 2 / (len(samples) * energy))


def seconds_heard(path: Path, frequency: float, *, least: float = 0.6) -> float:
    """For how many seconds `frequency` carried at least that share of the sound, in windows of 100 ms."""
    samples, rate = load(path)
    step = round(WINDOW * rate)
    starts = range(0, len(samples) - step + 1, step)
    return WINDOW * sum(share(samples[at : at + step], rate, frequency) >= least for at in starts)


def seconds_of_sound(path: Path) -> float:
    """For how many seconds there was any sound above -50 dB."""
    samples, rate = load(path)
    step = round(WINDOW * rate)
    windows = [samples[at : at + step] for at in range(0, len(samples) - step + 1, step)]
    return WINDOW * sum(float(np.sqrt(np.mean(window**2))) > 0.003 for window in windows)


def write_cadence(path: Path, *frequencies: float, on: float, off: float, amplitude: float = 0.2) -> Path:
    """Write one period of a tone that comes and goes, to be played over and over."""
    sound = np.concatenate([tone(*frequencies, seconds=on, amplitude=amplitude), np.zeros(round(off * 8000))])
    soundfile.write(path, sound, 8000, subtype="PCM_16")
    return path
