"""WAV files: prompts converted to what the studio plays, and recordings that stay playable whatever happens.

All WAV of ours is RIFF, 8 kHz, 16-bit PCM, with a header of 44 octets; mono, but for recorded calls, which are stereo.
Not here: the recorder.
"""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile
import soxr

from base.failures import Failure

RATE = 8000
HEADER_SIZE = 44
# Limit: a prompt is not longer than 30 minutes (28.8 MB as samples), nor its file than 512 MB.
LONGEST_PROMPT = 30 * 60
_MOST_CHANNELS = 8
_PIECE = 1 << 16
_LARGEST_FILE = 512 << 20
Samples = npt.NDArray[np.int16]


def header(octets: int, channels: int = 1) -> bytes:
    """The 44 octets before `octets` octets of samples."""
    form = (16, 1, channels, RATE, 2 * channels * RATE, 2 * channels, 16)
    return struct.pack("<4sI4s4sIHHIIHH4sI", b"RIFF", 36 + octets, b"WAVE", b"fmt ", *form, b"data", octets)


def _mono(file: soundfile.SoundFile) -> npt.NDArray[np.float32]:
    """Piece by piece: what the header promises is not believed."""
    pieces = [np.zeros(0, dtype=np.float32)]
    left = int(file.frames)
    while left > 0:
        piece = file.read(min(left, _PIECE), dtype="float32", always_2d=True)
        if not len(piece):
            break
        left -= len(piece)
        pieces.append(piece.mean(axis=1, dtype=np.float32))
    return np.concatenate(pieces)


def load(source: Path | bytes) -> Samples:
    """Any WAV or AU that libsndfile reads, as 8 kHz mono samples. Raises Failure("invalid") with the reason."""
    try:
        with soundfile.SoundFile(io.BytesIO(source) if isinstance(source, bytes) else str(source)) as file:
            rate = file.samplerate
            if not 1000 <= rate <= 400_000 or file.channels > _MOST_CHANNELS:
                raise Failure("invalid", f"a sound of {rate} Hz with {file.channels} channels")
            if file.frames > LONGEST_PROMPT * rate:
                raise Failure("invalid", f"the sound is longer than {LONGEST_PROMPT // 60} minutes")
            mono = _mono(file)
    except (soundfile.SoundFileError, OSError, TypeError) as error:
        reason = str(error).rsplit(": ", 1)[-1]
        raise Failure("invalid", f"not a sound file that can be read: {reason}") from error
    if not len(mono):
        raise Failure("invalid", "the sound is empty")
    if not np.isfinite(mono).all():
        raise Failure("invalid", "the sound holds numbers that are no samples")
    if rate != RATE:
        mono = soxr.resample(mono, rate, RATE)
    return np.asarray(np.clip(np.rint(mono * 32768.0), -32768, 32767), dtype=np.int16)


def convert_prompt(data: bytes) -> bytes:
    """A prompt in any format, rate and number of channels to a WAV of ours. Raises Failure("invalid")."""
    if len(data) > _LARGEST_FILE:
        raise Failure("invalid", "the file is too large")
    samples = load(data)
    return header(2 * len(samples)) + samples.tobytes()


def duration(path: Path) -> float:
    """Seconds of sound in a file. Raises Failure("invalid")."""
    try:
        info = soundfile.info(str(path))
    except (soundfile.SoundFileError, OSError) as error:
        raise Failure("invalid", "not a sound file that can be read") from error
    return float(info.frames) / float(info.samplerate)


def repair_wav(path: Path, channels: int = 1) -> float:
    """Make the header of a recording of ours agree with the length of its file, after a crash between the two.
    Returns the seconds of sound; a file without a whole header becomes an empty WAV."""
    with path.open("r+b") as file:
        size = file.seek(0, io.SEEK_END)
        whole = max(0, size - HEADER_SIZE)
        octets = whole - whole % (2 * channels)
        file.seek(0)
        if file.read(HEADER_SIZE) != header(octets, channels):
            file.seek(0)
            file.write(header(octets, channels))
            file.truncate(HEADER_SIZE + octets)
    return octets / (2 * channels * RATE)
