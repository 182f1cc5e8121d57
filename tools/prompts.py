"""Builds the stock prompts from the text of a manifest: `python -m tools.prompts build`.

Not on any call path: the server plays the files that this has written. Offline and repeatable: the same manifest and
the same voice give the same files, octet for octet. Needs `flite` (Debian: apt-get install flite). WAV, 8 kHz mono
16-bit, silence trimmed, peak at −3 dBFS.
"""

from __future__ import annotations

import hashlib
import io
import subprocess
import tomllib
import wave
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import numpy.typing as npt
import soundfile
import soxr
import typer

Samples = npt.NDArray[np.float64]

RATE = 8000
PEAK = 10 ** (-3 / 20)
TONE_LEVEL = 10 ** (-12 / 20)
_LEAD = int(0.03 * RATE)
_TAIL = int(0.12 * RATE)
_FADE = int(0.01 * RATE)
_QUIET = 10 ** (-45 / 20)

ENGLISH = Path(__file__).parent.parent / "prompts" / "en"

app = typer.Typer(no_args_is_help=True, help="Build and check the stock prompts.")


@dataclass(frozen=True, slots=True)
class Tone:
    """A sum of sines (none: silence), then `silence` seconds of nothing."""

    file: str
    frequencies: tuple[float, ...]
    seconds: float
    silence: float = 0.0


@dataclass(frozen=True, slots=True)
class Melody:
    """Plucked notes, each ringing on into the next ones; made so that its end joins its beginning."""

    file: str
    notes: tuple[float, ...]
    seconds: float


@dataclass(frozen=True, slots=True)
class Manifest:
    """What one language folder holds."""

    language: str
    voice: str
    licence: str
    stretch: float
    speech: Mapping[str, str]
    tones: tuple[Tone, ...]
    melodies: tuple[Melody, ...]

    def names(self) -> Iterator[str]:
        """All file names without `.wav`."""
        yield from self.speech
        yield from (tone.file for tone in self.tones)
        yield from (melody.file for melody in self.melodies)


def read_manifest(folder: Path) -> Manifest:
    """Read `manifest.toml` of a language folder."""
    table = tomllib.loads((folder / "manifest.toml").read_text("utf-8"))
    voice = table["voice"]
    return Manifest(
        language=table["language"],
        voice=voice["name"],
        licence=voice["licence"],
        stretch=float(voice["stretch"]),
        speech=dict(table["speech"]),
        tones=tuple(
            Tone(t["file"], tuple(t["frequencies"]), t["seconds"], t.get("silence", 0.0)) for t in table["tone"]
        ),
        melodies=tuple(Melody(m["file"], tuple(m["notes"]), m["seconds"]) for m in table["melody"]),
    )


def speak(text: str, voice: str, stretch: float) -> tuple[Samples, int]:
    """Have flite say the text; returns samples and their rate."""
    command = ["flite", "-voice", voice, "--setf", f"duration_stretch={stretch}", "-t", text, "-o", "/dev/stdout"]
    spoken = subprocess.run(command, check=True, capture_output=True, timeout=60).stdout
    # flite cannot seek in a pipe and leaves the lengths open: take what follows the 44 octets of header.
    with wave.open(io.BytesIO(spoken)) as header:
        rate = header.getframerate()
    return np.frombuffer(spoken[44:], dtype="<i2").astype(np.float64) / 32768, rate


def trim(samples: Samples) -> Samples:
    """Cut the silence at both ends, leaving a little air, and fade the cuts."""
    loud = np.flatnonzero(np.abs(samples) > _QUIET * float(np.max(np.abs(samples))) / PEAK)
    if not loud.size:
        return samples
    cut = samples[max(0, int(loud[0]) - _LEAD) : int(loud[-1]) + _TAIL].copy()
    ramp = np.linspace(0.0, 1.0, _FADE)
    cut[:_FADE] *= ramp
    cut[-_FADE:] *= ramp[::-1]
    return cut


def normalise(samples: Samples, peak: float) -> Samples:
    """Scale so that the loudest sample is at `peak`."""
    highest = float(np.max(np.abs(samples))) if samples.size else 0.0
    return samples * (peak / highest) if highest else samples


def speech_samples(text: str, voice: str, stretch: float) -> Samples:
    """The text as prompt samples."""
    samples, rate = speak(text, voice, stretch)
    return normalise(trim(np.asarray(soxr.resample(samples, rate, RATE, quality="VHQ"), dtype=np.float64)), PEAK)


def tone_samples(tone: Tone) -> Samples:
    """The tone as prompt samples, faded at both ends so that it does not click."""
    time = np.arange(int(tone.seconds * RATE)) / RATE
    sound = np.zeros_like(time)
    for frequency in tone.frequencies:
        sound += np.sin(2 * np.pi * frequency * time)
    ramp = np.linspace(0.0, 1.0, _FADE)
    sound[:_FADE] *= ramp
    sound[-_FADE:] *= ramp[::-1]
    return np.concatenate([normalise(sound, TONE_LEVEL), np.zeros(int(tone.silence * RATE))])


def melody_samples(melody: Melody) -> Samples:
    """The melody as prompt samples, circular: what rings on at the end is mixed into the beginning."""
    step = int(melody.seconds * RATE)
    total = step * len(melody.notes)
    time = np.arange(4 * step) / RATE
    envelope = np.minimum(time / 0.02, 1.0) * np.exp(-2.2 * time)
    sound = np.zeros(total)
    for index, note in enumerate(melody.notes):
        ring = envelope * (np.sin(2 * np.pi * note * time) + 0.3 * np.sin(4 * np.pi * note * time))
        np.add.at(sound, (index * step + np.arange(ring.size)) % total, ring)
    return normalise(sound, TONE_LEVEL)


def as_wav(samples: Samples) -> bytes:
    """Samples in −1..1 as an 8 kHz mono 16-bit WAV file."""
    out = io.BytesIO()
    soundfile.write(out, np.round(samples * 32767).astype(np.int16), RATE, format="WAV", subtype="PCM_16")
    return out.getvalue()


def render(manifest: Manifest) -> Iterator[tuple[str, bytes]]:
    """Each prompt's name and file content."""
    for name, text in manifest.speech.items():
        yield name, as_wav(speech_samples(text, manifest.voice, manifest.stretch))
    for tone in manifest.tones:
        yield tone.file, as_wav(tone_samples(tone))
    for melody in manifest.melodies:
        yield melody.file, as_wav(melody_samples(melody))


def stale(folder: Path, manifest: Manifest) -> Sequence[str]:
    """Files of the folder that the manifest does not name, and names without a file."""
    there = {path.stem for path in folder.glob("*.wav")}
    return sorted(there ^ set(manifest.names()))


@app.command()
def build(folder: Annotated[Path, typer.Argument(help="A language folder with a manifest.toml.")] = ENGLISH) -> None:
    """Make all prompts of a folder from its manifest."""
    manifest = read_manifest(folder)
    digest = hashlib.sha256()
    for name, content in render(manifest):
        (folder / f"{name}.wav").write_bytes(content)
        digest.update(content)
    for name in stale(folder, manifest):
        (folder / f"{name}.wav").unlink()
    typer.echo(f"{len(list(manifest.names()))} prompts in {folder}, all together sha256 {digest.hexdigest()[:16]}")


@app.command()
def check(folder: Annotated[Path, typer.Argument(help="A language folder with a manifest.toml.")] = ENGLISH) -> None:
    """Say which prompts are missing, or are there without text. Exit status 1 when there are any."""
    wrong = stale(folder, read_manifest(folder))
    for name in wrong:
        typer.echo(name)
    raise typer.Exit(1 if wrong else 0)


if __name__ == "__main__":
    app()
