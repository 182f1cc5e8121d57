"""Prompts in, recordings out."""

from __future__ import annotations

import io
import threading
from pathlib import Path

import numpy as np
import pytest
import soundfile

from base.failures import Failure
from pbx.mediaproxy import wav
from pbx.mediaproxy.clips import Clips
from pbx.mediaproxy.player import Clip
from pbx.mediaproxy.spool import Recording, Spool
from tests.tones import make_tone, seconds_heard, share, tone


def sound_file(rate: int, channels: int, kind: str, subtype: str) -> bytes:
    data = np.repeat(tone(600.0, seconds=1.0, rate=rate)[:, None], channels, axis=1)
    out = io.BytesIO()
    soundfile.write(out, data, rate, format=kind, subtype=subtype)
    return out.getvalue()


@pytest.mark.parametrize(
    ("rate", "channels", "kind", "subtype"),
    [
        (8000, 1, "WAV", "PCM_16"),
        (44100, 2, "WAV", "PCM_24"),
        (48000, 1, "WAV", "FLOAT"),
        (16000, 1, "WAV", "PCM_U8"),
        (8000, 1, "AU", "ULAW"),
        (8000, 1, "WAV", "GSM610"),
        (11025, 2, "AU", "PCM_16"),
    ],
)
def test_any_sound_becomes_a_prompt(rate: int, channels: int, kind: str, subtype: str) -> None:
    prompt = wav.convert_prompt(sound_file(rate, channels, kind, subtype))
    data, got = soundfile.read(io.BytesIO(prompt))
    assert got == 8000
    assert data.ndim == 1
    assert len(data) == pytest.approx(8000, abs=400)
    assert share(data[400:7600], 8000, 600.0) > 0.98
    assert prompt[:44] == wav.header(len(prompt) - 44)


@pytest.mark.parametrize(
    "data", [b"", b"hello", b"RIFF\xff\xff\xff\xffWAVE", sound_file(8000, 1, "WAV", "PCM_16")[:30], wav.header(0)]
)
def test_what_is_no_sound_is_refused_with_a_reason(data: bytes) -> None:
    with pytest.raises(Failure) as refusal:
        wav.convert_prompt(data)
    assert refusal.value.code == "invalid"
    assert refusal.value.public


def test_a_prompt_too_long_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wav, "LONGEST_PROMPT", 0.5)
    with pytest.raises(Failure, match="longer"):
        wav.convert_prompt(sound_file(8000, 1, "WAV", "PCM_16"))


def test_a_recording_cut_anywhere_is_repaired(tmp_path: Path) -> None:
    whole = make_tone(tmp_path / "whole.wav", 500.0, seconds=1.0).read_bytes()
    for size in (0, 10, 44, 45, 5000, 9001, len(whole)):
        path = tmp_path / "cut.wav"
        path.write_bytes(whole[:size])
        seconds = wav.repair_wav(path)
        assert seconds == max(0, size - 44) // 2 / 8000
        assert wav.duration(path) == seconds
        assert wav.repair_wav(path) == seconds


def test_a_spooled_recording_is_whole_after_each_piece(tmp_path: Path) -> None:
    done = threading.Event()
    told: list[float] = []
    spool = Spool(lambda work: work())
    spool.start()
    recording = Recording(tmp_path / "deep" / "said.wav")
    piece = (tone(500.0, seconds=0.5) * 32767).astype("<i2").tobytes()
    for _ in range(4):
        spool.write(recording, piece, lambda error: told.append(-1.0))

    def report(seconds: float) -> None:
        told.append(seconds)
        done.set()

    spool.finish(recording, report)
    assert done.wait(5)
    spool.close()
    assert told == [2.0]
    assert seconds_heard(tmp_path / "deep" / "said.wav", 500.0) == pytest.approx(2.0)


def test_a_full_disk_leaves_no_file(tmp_path: Path) -> None:
    class Full(Recording):
        def write(self, samples: bytes) -> None:
            if samples:
                raise OSError(28, "No space left on device")
            super().write(samples)

    trouble: list[OSError] = []
    spool = Spool(lambda work: work())
    spool.start()
    recording = Full(tmp_path / "said.wav")
    for samples in (b"", b"\0\0", b"\0\0"):
        spool.write(recording, samples, trouble.append)
    spool.close()
    assert [error.errno for error in trouble] == [28]
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_cannot_be_closed_costs_the_others_nothing(tmp_path: Path) -> None:
    class Late(Recording):
        def close(self) -> None:
            super().close()
            raise OSError(5, "Input/output error")

    told: list[float] = []
    spool = Spool(lambda work: work())
    spool.start()
    for recording in (Late(tmp_path / "late.wav"), Recording(tmp_path / "good.wav")):
        spool.write(recording, b"\0\0" * 8000, lambda error: told.append(-1.0))
        spool.finish(recording, told.append)
    spool.close()
    assert told == [1.0, 1.0]


def test_a_disk_that_does_not_keep_up_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pbx.mediaproxy.spool._LONGEST_QUEUE", 2)
    trouble: list[OSError] = []
    spool = Spool(lambda work: work())
    recording = Recording(tmp_path / "said.wav")
    for _ in range(6):  # nobody writes yet
        spool.write(recording, b"\0\0", trouble.append)
    spool.start()
    spool.close()
    assert len(trouble) == 1
    assert recording.descriptor == -1
    assert list(tmp_path.iterdir()) == []


def test_clips_are_read_once_and_the_oldest_go(tmp_path: Path) -> None:
    woken = threading.Event()
    clips = Clips(woken.set, most_octets=2 * 4 * 8000)
    got: list[Clip | None] = []
    paths = [make_tone(tmp_path / f"{n}.wav", 400.0 + n, seconds=1.0) for n in range(3)]

    def fetch(path: Path) -> None:
        clips.get(path.name, path, lambda clip, trouble: got.append(clip))
        assert woken.wait(5)
        woken.clear()
        clips.collect()

    for path in paths:
        fetch(path)
    paths[2].unlink()
    clips.get("2.wav", paths[2], lambda clip, trouble: got.append(clip))
    assert got[3] is got[2], "it is held: no thread has to wake us"
    paths[0].unlink()
    fetch(paths[0])
    assert got[4] is None, "it was dropped for the newer ones, and its file is gone"
    clips.close()
