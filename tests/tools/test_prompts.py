"""The stock prompts: each text has its file, in the one format, at the one level; building again changes nothing."""

from __future__ import annotations

import io
import wave

import numpy as np
import pytest
import soundfile

from tools import prompts

MANIFEST = prompts.read_manifest(prompts.ENGLISH)


def test_every_text_has_its_file_and_every_file_its_text() -> None:
    assert prompts.stale(prompts.ENGLISH, MANIFEST) == []


def test_voice_and_licence_are_stated() -> None:
    assert "redistribute" in MANIFEST.licence


@pytest.mark.parametrize("name", sorted(MANIFEST.names()))
def test_format_level_and_clipping(name: str) -> None:
    with wave.open(str(prompts.ENGLISH / f"{name}.wav")) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (8000, 1, 2)
    samples, _ = soundfile.read(prompts.ENGLISH / f"{name}.wav")
    peak = float(np.max(np.abs(samples)))
    assert peak < 0.72
    if name in MANIFEST.speech:
        assert peak == pytest.approx(prompts.PEAK, abs=0.001)
        assert 0.15 < len(samples) / 8000 < 15
        assert float(np.max(np.abs(samples[:80]))) < 0.05, "starts in silence"


def test_the_melody_joins_its_own_beginning() -> None:
    for melody in MANIFEST.melodies:
        samples = prompts.melody_samples(melody)
        assert abs(float(samples[0] - samples[-1])) < 0.1


@pytest.mark.proof
def test_building_is_repeatable() -> None:
    text = MANIFEST.speech["welcome"]
    made = prompts.as_wav(prompts.speech_samples(text, MANIFEST.voice, MANIFEST.stretch))
    assert made == (prompts.ENGLISH / "welcome.wav").read_bytes()


def test_a_beep_is_the_tone_that_it_says() -> None:
    samples, rate = soundfile.read(io.BytesIO((prompts.ENGLISH / "recordingbeep.wav").read_bytes()))
    spectrum = np.abs(np.fft.rfft(samples))
    assert np.argmax(spectrum) * rate / len(samples) == pytest.approx(1000, abs=5)
