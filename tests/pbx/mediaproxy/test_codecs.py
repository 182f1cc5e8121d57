"""Codecs, turned into each other as the last resort, and understood by the studio: by measured tones."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pbx.mediaproxy import g711, rtp
from pbx.mediaproxy.codecs import CODECS, decoder, encoder
from pbx.mediaproxy.ear import Ear as StudioEar
from pbx.mediaproxy.engine import StreamSettings
from pbx.mediaproxy.g711 import Law
from pbx.mediaproxy.plan import translations, understood
from pbx.mediaproxy.transcoder import Transcoder
from pbx.mediaproxy.voice import Voice
from tests.pbx.mediaproxy.desk import Ear, FakePhone, engine
from tests.tones import seconds_heard, share

# 0.6 s of 440 Hz, made for this test by another one's encoder (bcg729), as nothing here encodes G.729
G729_TONE = base64.b64decode(
    "i3vAoAD6wjIB/I3aTRkLlapyMsGNsE0FGMIw4eeRjbJM9GADcvVvTwj3zUuNPw/U8V4jY01SVtIxR+1RBV6MteKSMTvHwSO2zPP4CnLXBZcNYE"
    "z18CLyY8XDDcJNU04aMuH/RyMwTODI2VEUhFoFu8znRMIwyMW3Dd6M7rCYMcrCFw2yTOKQs3LdSFcNwk1Se84x/i/TDTaMucgrch0anwXbzO6F"
    "qvPBKVMjuEyoIH4xo8ARDbJM75By8noNUw3AWtJRCjFAFPENNgztoPtylMpbJrJM7VBy8sVBGw3aTKNUnjGpQlcNsAznOFoyJjXTDcbNm/ACMb"
    "6ndw02DOVfOvGN3Vsmsky9xPJyh8yXDdpMteIqcS9wlw2wMpa0GTQyh5cNxs2UR6LxvqdLDTYMr6g68UhzSiayTLrIkjICj9cN2kyuhqjxvsFT"
    "DbAylqIpdDaFlw3GzYmJkvJIA8cNNgyt/RtyhHLbJrJMvBvYMo1dFw3aTLg4U3HTQBcNsDKWoid0NMaXDcbNiT3a8XXzww02DK/4GvIdq18msk"
    "y1+HIyU8qXDdpMtdQTcmLtSw2wMon0XnQqxBcNxs2RmKoxvxbHDTYMs3jLclh02yayTL3A8jLXiJcN2kynfBpxd78XDbAywrBh8SIGFw3GzZzQ"
    "uvEJwQcNNgylxZtyWHTXJrJM50TG8lxplw3aTL0TWnGIGRcNsDKUtB50M1eXDcbNhBAC8ucF8Q02DKyAevFNCcomsky8uLIxkViXDdpM7hbOcZ"
    "Zylw2wMpaEPnNq/ZcNxs2BGJrxpedD"
)
BOTH = [name for name, codec in CODECS.items() if codec.both_ways and not name.startswith("AAL2")]
EVENT = {101: "TELEPHONE-EVENT/8000"}


def spoken(name: str, seconds: float, hertz: float = 440.0) -> list[rtp.Packet]:
    """A tone as packets of 20 ms."""
    codec, made, packets = CODECS[name], encoder(name), []
    for number in range(round(seconds * 50)):
        time = (np.arange(codec.frame) + number * codec.frame) / codec.rate
        payload = made.encode((8000 * np.sin(2 * np.pi * hertz * time)).astype(np.int16))
        packets.append(rtp.Packet(96, number == 0, number, number * codec.clock // 50, 7, payload))
    return [packet for packet in packets if packet.payload]


def heard(name: str, packets: list[bytes]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    ear = decoder(name)
    pieces = [ear.decode(packet.payload) for data in packets if (packet := rtp.parse(data)) is not None]
    return np.concatenate(pieces).astype(np.float64)


@pytest.mark.parametrize("inward", BOTH)
@pytest.mark.parametrize("outward", BOTH)
def test_each_codec_is_turned_into_each_other_one(inward: str, outward: str) -> None:
    machine = Transcoder(inward, outward, 97, 1, 2, 3)
    made = [data for packet in spoken(inward, 1.0) for data in machine.feed(packet)]
    packets = [packet for data in made if (packet := rtp.parse(data))]
    assert 94 <= 2 * len(packets) <= 100
    assert {(packet.payload_type, packet.ssrc) for packet in packets} == {(97, 1)}
    steps = {rtp.ahead(b.timestamp, a.timestamp, 32) for a, b in itertools.pairwise(packets)}
    assert steps == {CODECS[outward].clock // 50}
    sound = heard(outward, made)
    assert share(sound[len(sound) // 4 :], CODECS[outward].rate, 440) > 0.98


@pytest.mark.parametrize(
    ("name", "sound", "digest"),
    [
        ("G726-32/8000", "tone", "909b9cbbe9e193534cab87a3c84888ab2516cbbbd3940c2b24e1c9df99f28597"),
        ("AAL2-G726-32/8000", "tone", "0ea530d60cc3811013b7f5ba20151d649bbf940c8acd7ce6c9b6689e7e4c6382"),
        ("G726-32/8000", "sweep", "9143791817472c5beb51e942405de334d6a2ccf80303884c768b4a4dbabbe1bc"),
    ],
)
def test_g726_is_the_recommendations_to_the_bit(name: str, sound: str, digest: str) -> None:
    """The same octets as an independent encoder gives (that of spandsp); RFC 3551 §4.5.4 has the order of samples."""
    time = np.arange(8000)
    wave = 8000 * np.sin(2 * np.pi * 440 * (time / 8000)) if sound == "tone" else 3000 * np.sin(np.pi * time**2 / 40000)
    made = encoder(name)
    octets = b"".join(made.encode(wave.astype(np.int16)[at : at + 160]) for at in range(0, 8000, 160))
    assert hashlib.sha256(octets).hexdigest() == digest


@pytest.mark.parametrize("name", BOTH)
def test_the_studio_hears_and_speaks_them_all(name: str) -> None:
    """Sample by sample, without a clock: what is said in a codec is heard again, and none of it is missing."""
    mouth, ear, scale = Voice(name), StudioEar(), CODECS[name].clock // 8000
    ear.listen(True)
    time = np.arange(8000) / 8000
    said = g711.encode((8000 * np.sin(2 * np.pi * 620 * time)).astype(np.int16), Law.ULAW)
    octets = b""
    for beat, at in enumerate(range(0, 8000, 160)):
        if payload := mouth.say(said[at : at + 160]):
            ear.hear(name, memoryview(rtp.build(96, beat, at * scale, 7, payload)), beat * 0.02)
        octets += ear.pull() or b""
    while (frame := ear.pull()) is not None:
        octets += frame
    sound = g711.decode(octets, Law.ULAW).astype(np.float64)
    assert 7600 <= len(sound) <= 8000
    assert share(sound[2000:], 8000, 620) > 0.98


def test_loss_and_pauses_stay_what_they_are() -> None:
    machine = Transcoder("G722/8000", "PCMA/8000", 8, 1, 2, 3)
    packets = spoken("G722/8000", 1.0)
    made = [data for packet in [*packets[:20], *packets[30:]] for data in machine.feed(packet)]
    stamps = [packet.timestamp for data in made if (packet := rtp.parse(data))]
    steps = [b - a for a, b in itertools.pairwise(stamps)]
    assert sum(step > 160 for step in steps) == 1
    assert max(steps) in range(10 * 160, 13 * 160)
    assert machine.feed(packets[5]) == []  # far too late
    digit = rtp.Packet(101, True, 9, 4711, 7, bytes.fromhex("050a0320"))
    stamped = [rtp.parse(machine.event(digit, 96)) for _ in range(3)]
    assert len({packet.timestamp for packet in stamped if packet}) == 1


@given(st.sampled_from(sorted(CODECS)), st.lists(st.binary(max_size=200), max_size=8))
@settings(max_examples=150, deadline=None)
def test_garbage_is_at_most_noise(name: str, payloads: list[bytes]) -> None:
    machine = Transcoder(name, "PCMU/8000", 0, 1, 2, 3)
    for number, payload in enumerate(payloads):
        for data in machine.feed(rtp.Packet(0, False, number, number * 160, 7, payload)):
            assert rtp.parse(data) is not None


@pytest.mark.parametrize("outward", BOTH)
def test_g729_is_heard_whatever_the_other_one_has(outward: str) -> None:
    """Frames of 10 octets for 10 ms, two in a packet (RFC 3551 §4.5.6)."""
    machine = Transcoder("G729/8000", outward, 97, 1, 2, 3)
    pieces = [G729_TONE[at : at + 20] for at in range(0, len(G729_TONE), 20)]
    packets = [rtp.Packet(18, not at, at, at * 160, 7, piece) for at, piece in enumerate(pieces)]
    sound = heard(outward, [data for packet in packets for data in machine.feed(packet)])
    assert len(sound) >= 0.5 * CODECS[outward].rate
    assert share(sound[len(sound) // 4 :], CODECS[outward].rate, 440) > 0.9


def test_it_is_the_last_resort() -> None:
    opus, law, wide = {96: "OPUS/48000/2", **EVENT}, {0: "PCMU/8000", **EVENT}, {9: "G722/8000", 0: "PCMU/8000"}
    for inward, outward, sent, found in [
        (opus, law, 0, ("OPUS/48000/2", "PCMU/8000")),
        (law, opus, 96, ("PCMU/8000", "OPUS/48000/2")),
        (wide, law, 0, None),  # PCMU goes through
        (law, {8: "PCMA/8000"}, 8, None),  # a table will do
        ({18: "G729/8000"}, law, 0, ("G729/8000", "PCMU/8000")),
        (law, {18: "G729/8000"}, 18, None),  # which we only decode
        ({97: "SPEEX/16000"}, law, 0, None),
    ]:
        assert understood(inward, outward, sent, translations(inward, outward, 101)) == found


async def test_two_phones_without_a_common_codec_hear_each_other_and_digits_pass() -> None:
    async with engine() as media:
        wide, plain = await FakePhone.make(), await FakePhone.make()
        ears = Ear(), Ear()
        left, right = await media.open(ears[0]), await media.open(ears[1])
        left.configure(StreamSettings(wide.address, 9, {9: "G722/8000", **EVENT}, 101))
        right.configure(StreamSettings(plain.address, 8, {8: "PCMA/8000", 96: EVENT[101]}, 96))
        left.connect(right)
        for packet in spoken("G722/8000", 1.0):
            wide.send(left.local, packet.payload, 9)
        wide.send(left.local, bytes.fromhex("058a0320"), 101)
        assert await ears[0].wait("digit") == ("digit", "5", 100)
        while not any(data[1] & 0x7F == 96 for data in plain.got):
            await plain.wait(len(plain.got) + 1)
        assert share(plain.sound(Law.ALAW, 8)[2000:], 8000, 440) > 0.95
        events = [packet for data in plain.got if (packet := rtp.parse(data)) and packet.payload_type == 96]
        assert len(events) == 1
        for each in (wide, plain):
            each.close()


@pytest.mark.parametrize("name", ["G722/8000", "OPUS/48000/2", "GSM/8000"])
async def test_programs_hear_and_speak_other_codecs_too(name: str, tmp_path: Path) -> None:
    """Until it is heard: a busy worker may leave beats out, so nothing is said of when."""
    async with engine() as media:
        phone, ear = await FakePhone.make(), Ear()
        stream = await media.open(ear)
        stream.configure(StreamSettings(phone.address, 96, {96: name}))
        stream.tone(620, 60)
        rate, count = CODECS[name].rate, 40
        while share(heard(name, await phone.wait(count, 20))[-rate // 2 :], rate, 620) < 0.95:
            count += 10
        stream.record(tmp_path / "said.wav", limit=1.5)
        speaking = asyncio.create_task(speak_on(phone, stream.local, name))
        await ear.wait("recorded", timeout=20)
        speaking.cancel()
        assert seconds_heard(tmp_path / "said.wav", 440) > 0.6
        phone.close()


async def speak_on(phone: FakePhone, to: tuple[str, int], name: str) -> None:
    """A tone without end, some 50 packets a second."""
    codec, made = CODECS[name], encoder(name)
    for number in itertools.count():
        time = (np.arange(codec.frame) + number * codec.frame) / codec.rate
        payload = made.encode((8000 * np.sin(2 * np.pi * 440 * time)).astype(np.int16))
        if payload:
            phone.transport.sendto(rtp.build(96, number, number * codec.clock // 50, 5, payload), to)
        await asyncio.sleep(0.02)
