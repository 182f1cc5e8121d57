"""The tones of a line that was hung up on: found in each country, through noise and loss; never in speech and music."""

from __future__ import annotations

import ctypes
import ctypes.util
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import soundfile

from pbx.mediaproxy import g711
from pbx.mediaproxy.cadence import Cadence, parse
from pbx.mediaproxy.codecs import decoder
from pbx.mediaproxy.g711 import Law
from pbx.mediaproxy.speech import decibels
from pbx.mediaproxy.tone_watch import ToneWatch
from pbx.trunk.tones import countries, tones
from tests.tones import tone

Sound = npt.NDArray[np.float64]
PROMPTS = Path(__file__).resolve().parents[3] / "prompts" / "en"
FRAME, RATE = 160, 8000
EVERYWHERE = sorted({each for country in countries() for each in tones(country)}, key=str)
US = tones("us")[0]


def played(cadence: Cadence, seconds: float, *, pitch: float = 1.0, amplitude: float = 0.2) -> Sound:
    """As an exchange plays it."""
    turns = [
        tone(
            *(() if at % 2 else (each * pitch for each in cadence.frequencies)),
            seconds=time / 1000,
            amplitude=amplitude,
        )
        for at, time in enumerate(cadence.times)
    ]
    period = np.concatenate(turns)
    return np.tile(period, int(seconds * RATE / len(period)) + 1)[: round(seconds * RATE)]


def heard(
    watch: ToneWatch, sound: Sound, *, law: Law = Law.ULAW, loss: float = 0.0, seed: int = 1
) -> tuple[float, float] | None:
    """After how many seconds the tone is known, and for how long it had been suspected."""
    chance = np.random.default_rng(seed)
    octets = g711.encode((np.clip(sound, -1, 1) * 32767).astype(np.int16), law)
    samples = g711.decode(octets, law)
    for at in range(0, len(samples) - FRAME + 1, FRAME):
        frame = samples[at : at + FRAME]
        level = decibels(float(np.mean(frame.astype(np.float64) ** 2)))
        if watch.hear(None if chance.random() < loss else frame, level):
            return (at + FRAME) / RATE, watch.suspected * FRAME / RATE
    return None


@pytest.mark.parametrize("country", countries())
def test_the_tones_of_each_country(country: str) -> None:
    """Speech, then the tone, which begins between two beats: found within two periods, or two seconds, and a beat."""
    speech, _ = soundfile.read(PROMPTS / "receptionprompt.wav")
    begins = len(speech) / RATE
    for cadence in tones(country):
        found = heard(ToneWatch(tones(country)), np.concatenate([speech, played(cadence, 8)]))
        assert found is not None, cadence
        period = sum(cadence.times) / 1000
        assert found[0] - begins <= max(2 * period, 2.0 + period) + 0.1
        assert found[0] - found[1] == pytest.approx(begins, abs=0.06)


@pytest.mark.parametrize(("pitch", "amplitude", "loss"), [(0.98, 0.02, 0.03), (1.02, 0.5, 0.03), (1.0, 0.1, 0.08)])
@pytest.mark.parametrize("cadence", [US, *tones("gb"), tones("fr")[0]], ids=str)
def test_off_pitch_faint_with_noise_and_loss(cadence: Cadence, pitch: float, amplitude: float, loss: float) -> None:
    """The noise is some 14 dB below the tone."""
    sound = np.concatenate([np.zeros(4321), played(cadence, 9, pitch=pitch, amplitude=amplitude)])
    sound += np.random.default_rng(2).normal(0, 0.1 * amplitude, len(sound))
    assert heard(ToneWatch([cadence]), sound, law=Law.ALAW, loss=loss) is not None


def test_a_first_sound_that_the_line_has_cut() -> None:
    found = heard(ToneWatch([US]), np.concatenate([np.zeros(RATE), played(US, 6)[2900:]]))
    assert found is not None
    assert found[0] - found[1] == pytest.approx(1.0, abs=0.06), "it is cut off as well"


@pytest.mark.parametrize(
    "others",
    [
        parse("440+480/2000,0/4000"),  # ringing
        parse("480+620/1000,0/1000"),
        parse("480/500,0/500"),
        parse("425/500,0/500"),
        parse("480+620/500,0/900"),
    ],
    ids=str,
)
def test_other_tones_are_none_of_it(others: tuple[Cadence, ...]) -> None:
    assert heard(ToneWatch(tones("us")), played(others[0], 20)) is None


def test_a_dial_tone_a_beep_and_silence_are_none_of_it() -> None:
    watch = ToneWatch(EVERYWHERE)
    for sound in (tone(350, 440, seconds=9), tone(425, seconds=9), tone(440, seconds=0.5), np.zeros(9 * RATE)):
        assert heard(watch, sound) is None
        assert heard(watch, np.zeros(RATE)) is None
        assert watch.suspected == 0


def prompts() -> list[Path]:
    """All but the one that is the busy tone."""
    return [path for path in sorted(PROMPTS.glob("*.wav")) if path.stem != "busy"]


def test_no_prompt_is_taken_for_a_tone() -> None:
    """Speech, beeps, numbers and music, one after the other."""
    sound = np.concatenate([soundfile.read(path)[0] for path in prompts()])
    assert heard(ToneWatch([*tones("us"), *tones("de"), *tones("fr")]), sound, loss=0.05) is None


@pytest.mark.proof
@pytest.mark.parametrize("loss", [0.0, 0.03])
@pytest.mark.parametrize("path", prompts(), ids=lambda path: path.stem)
def test_no_prompt_that_is_said_over_and_over_is_taken_for_a_tone(path: Path, loss: float) -> None:
    """Nor with noise, for any country's."""
    sound, _ = soundfile.read(path)
    sound = np.tile(sound, max(1, int(30 * RATE / len(sound))))
    sound += np.random.default_rng(3).normal(0, 0.01, len(sound))
    assert heard(ToneWatch(EVERYWHERE), sound, loss=loss) is None


def g729(sound: Sound) -> Sound:
    """Through the codec and back: encoded by bcg729, decoded as we do it."""
    name = ctypes.util.find_library("bcg729")
    if name is None:
        pytest.skip("libbcg729 is not installed")
    library = ctypes.CDLL(name)
    library.initBcg729EncoderChannel.restype = ctypes.c_void_p
    channel = ctypes.c_void_p(library.initBcg729EncoderChannel(0))
    samples = (np.clip(sound, -1, 1) * 32767).astype(np.int16)
    decode, made = decoder("G729/8000"), []
    for at in range(0, len(samples) - 79, 80):
        octets, length = (ctypes.c_uint8 * 10)(), ctypes.c_uint8(0)
        frame = samples[at : at + 80].tobytes()
        library.bcg729Encoder(channel, frame, octets, ctypes.byref(length))
        made.append(decode.decode(bytes(octets[: length.value])))
    library.closeBcg729EncoderChannel(channel)
    return np.concatenate(made).astype(np.float64) / 32768


@pytest.mark.parametrize("country", ["us", "de", "gb", "fr"])
def test_through_g729(country: str) -> None:
    sound = g729(np.concatenate([np.zeros(RATE), played(tones(country)[0], 6)]))
    found = heard(ToneWatch(tones(country)), sound, loss=0.02)
    assert found is not None
    assert found[0] - found[1] == pytest.approx(1.0, abs=0.1)


# --- as text


@pytest.mark.parametrize("text", ["425/480,0/480", "480+620/500,0/500", "400/400,0/350,400/225,0/525"])
def test_a_tone_is_written_as_it_was_read(text: str) -> None:
    assert "; ".join(map(str, parse(text))) == text


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("425", "write it like"),
        ("425/500", "write it like"),
        ("425/500,425/500", "silence take turns"),
        ("425/500,0/500,440/500,0/500", "one sound"),
        ("425/5,0/500", "write it like"),
        ("100/500,0/500", "200 to 3400 Hz"),
        ("425/3500,0/3500", "6000 ms in all"),
        ("xx", "no tones are known of 'xx'"),
        ("; ".join(["425/500,0/500"] * 9), "at most 8"),
    ],
)
def test_what_is_no_tone(text: str, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        tones(text)
