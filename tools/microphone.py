"""The sound card of the desk: record and play. The one module that imports PyAudio (an optional extra)."""

from __future__ import annotations

import contextlib
import importlib
import select
import wave
from pathlib import Path
from typing import Any, TextIO

_RATE = 8000
_CHUNK = 800  # a tenth of a second
_INT16 = 8  # pyaudio.paInt16


class NoSoundCard(Exception):
    """PyAudio is not installed, or finds no device."""


class Microphone:
    """The default devices, open while used as a context manager. Raises NoSoundCard."""

    def __enter__(self) -> Microphone:
        try:
            pyaudio = importlib.import_module("pyaudio")
        except ImportError:
            raise NoSoundCard("PyAudio is not installed (pip install 'tandem-pbx[phone]')") from None
        self._audio: Any = pyaudio.PyAudio()
        if not self._audio.get_device_count():
            self._audio.terminate()
            raise NoSoundCard("there is no sound card")
        return self

    def __exit__(self, *_: object) -> None:
        self._audio.terminate()

    def record(self, path: Path, seconds: float, until: TextIO) -> float:
        """Write what is heard as 16-bit mono WAV until a line comes on `until`, or `seconds` are over.
        Returns the length in seconds."""
        stream = self._audio.open(rate=_RATE, channels=1, format=_INT16, input=True, frames_per_buffer=_CHUNK)
        frames = 0
        with contextlib.closing(stream), wave.open(str(path), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(_RATE)
            while not (seconds and frames >= seconds * _RATE) and not _entered(until, seconds):
                file.writeframes(stream.read(_CHUNK, exception_on_overflow=False))
                frames += _CHUNK
        return frames / _RATE

    def play(self, path: Path) -> None:
        """Play a 16-bit WAV to its end."""
        with wave.open(str(path), "rb") as file:
            if file.getsampwidth() != 2:
                raise OSError(f"{path} is no 16-bit WAV")
            stream = self._audio.open(
                rate=file.getframerate(), channels=file.getnchannels(), format=_INT16, output=True
            )
            with contextlib.closing(stream):
                while data := file.readframes(_CHUNK):
                    stream.write(data)


def _entered(until: TextIO, seconds: float) -> bool:
    """Has a line been typed? Not asked when a time was set."""
    if seconds:
        return False
    ready, _, _ = select.select([until], [], [], 0)
    return bool(ready) and until.readline() is not None
