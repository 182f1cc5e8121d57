"""The worker's encrypted lanes on loopback: SRTP by keys, RTCP, one port for both, and a browser's DTLS and ICE."""

from __future__ import annotations

import asyncio
import fractions
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
from aiortc import MediaStreamTrack, RTCPeerConnection, RTCSessionDescription
from av import AudioFrame

from base.entropy import SystemEntropy
from base.metrics import Metrics
from pbx.b2bua.exchange import Exchange
from pbx.b2bua.leg_media import LegMedia
from pbx.mediaproxy import rtcp, rtp
from pbx.mediaproxy.control import MediaControl
from pbx.mediaproxy.dtls import Handshake, Identity
from pbx.mediaproxy.engine import DtlsPeer, SrtpKeys
from pbx.mediaproxy.reception import Reception
from pbx.mediaproxy.srtp import SUITES, Opener, Sealer
from pbx.nat.surroundings import Surroundings
from pbx.sipcore.flow import Flow
from pbx.sipcore.sdp import SessionDescription
from pbx.sipcore.section_guard import MediaSecurity
from pbx.workarounds.kinds import Workaround
from tests.pbx.mediaproxy.desk import ADDRESS, Ear, FakePhone, engine, settings, sine
from tests.tones import share


@pytest.mark.parametrize("suite", SUITES)
async def test_an_encrypted_and_a_plain_phone_are_joined(suite: str) -> None:
    mine, theirs = bytes(range(SUITES[suite].octets)), bytes(range(7, 7 + SUITES[suite].octets))
    opener, sealer = Opener(suite, mine), Sealer(suite, theirs)
    async with engine() as media:
        secret, plain = await FakePhone.make(), await FakePhone.make()
        left, right = await media.open(Ear()), await media.open(Ear())
        left.configure(settings(secret.address, srtp=SrtpKeys(suite, mine, theirs)))
        right.configure(settings(plain.address))
        left.connect(right)
        for number in range(12):
            packet = rtp.build(0, number, number * 160, 7, sine(440, 0.02))
            sealed = sealer.seal(packet)
            assert sealed is not None
            secret.transport.sendto(sealed, left.local)
            secret.transport.sendto(sealed, left.local)  # a replay
            secret.transport.sendto(packet, left.local)  # without protection
        back = [plain.send(right.local, sine(620, 0.02)) for _ in range(10)]
        heard = await plain.wait(10)
        assert all(data in heard for data in [rtp.build(0, n, n * 160, 7, sine(440, 0.02)) for n in range(3, 8)])
        await secret.wait(8)
        opened = [opener.open(data) for data in secret.got]
        assert set(back[2:8]) <= set(opened)
        figures = await left.close()
        assert 8 <= figures.packets_received <= 12  # the first may have come before the settings
        secret.close()
        plain.close()


async def test_reports_are_sent_and_read() -> None:
    async with engine() as media:
        phone = await FakePhone.make()
        stream = await media.open(Ear())
        stream.configure(settings(phone.address, mux=True))
        stream.tone(440, 30)
        async with asyncio.timeout(8):
            while not (found := [data for data in phone.got if data[1] == rtcp.SENDER]):
                await phone.wait(len(phone.got) + 1)
        report = rtcp.parse(found[0])
        assert report.sent is not None
        block = rtcp.Block(int.from_bytes(found[0][4:8], "big"), 9, 100, 160)
        phone.transport.sendto(rtcp.report(5, "me", None, block), stream.local)
        async with asyncio.timeout(4):
            while stream.statistics().far_lost != 9:
                await phone.wait(len(phone.got) + 1)
        assert stream.statistics().far_jitter == 20.0
        phone.close()


class _Tone(MediaStreamTrack):
    """A sine of 440 Hz at 48 kHz."""

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self._at = 0
        self._begun = asyncio.get_running_loop().time()

    async def recv(self) -> AudioFrame:
        time = (self._at + np.arange(960)) / 48000
        frame = AudioFrame.from_ndarray((8000 * np.sin(2 * np.pi * 440 * time)).astype(np.int16)[None], layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = 48000, self._at, fractions.Fraction(1, 48000)
        self._at += 960
        await asyncio.sleep(max(0.0, self._begun + self._at / 48000 - asyncio.get_running_loop().time()))
        return frame


class _Party(Ear):
    """A leg's place in these tests."""

    flow = Flow("wss", (ADDRESS, 443), (ADDRESS, 5555), 1)
    workarounds: frozenset[Workaround] = frozenset()
    disconnect_tones = ()


def leg(media: MediaControl) -> LegMedia:
    """The media of a leg towards a browser."""
    stack = SimpleNamespace(advertised_host=lambda _flow: ADDRESS, surroundings=Surroundings())
    exchange = SimpleNamespace(media=media, entropy=SystemEntropy(), stack=stack, metrics=Metrics())
    return LegMedia(cast("Exchange", exchange), _Party(), MediaSecurity.OPTIONAL)


@asynccontextmanager
async def browser() -> AsyncIterator[RTCPeerConnection]:
    connection = RTCPeerConnection()
    connection.addTrack(_Tone())
    try:
        yield connection
    finally:
        await connection.close()


async def _heard(connection: RTCPeerConnection, hertz: float) -> None:
    """Wait until half a second of that tone came in one piece."""
    track = connection.getTransceivers()[0].receiver.track
    async with asyncio.timeout(10):
        sound = np.zeros(0)
        while len(sound) < 4000 or not sound[-4000:].any() or share(sound[-4000:], 8000, hertz) < 0.9:
            frame = await track.recv()
            channels = len(frame.layout.channels)
            piece = frame.to_ndarray().reshape(-1, channels)[:, 0].astype(np.float64)[:: frame.sample_rate // 8000]
            sound = np.concatenate([sound, piece])


async def test_a_browser_offers_and_hears_and_is_heard() -> None:
    async with engine() as media, browser() as web:
        await web.setLocalDescription(await web.createOffer())
        party = leg(media)
        await party.open()
        party.theirs = SessionDescription.parse(web.localDescription.sdp)
        answer = party.studio_answer()
        assert "a=setup:passive" in str(answer)
        assert "a=ice-lite" in str(answer)
        await web.setRemoteDescription(RTCSessionDescription(str(answer), "answer"))
        assert party.stream is not None
        party.stream.tone(620, 60)
        await _heard(web, 620)
        party.stream.stop()
        party.stream.echo(True)
        await _heard(web, 440)
        await party.close()


@pytest.mark.parametrize("codec", ["PCMU/8000"])
async def test_a_browser_is_called_by_a_plain_phone(codec: str) -> None:
    async with engine() as media, browser() as web:
        party, phone, far = leg(media), await FakePhone.make(), await media.open(Ear())
        await party.open()
        theirs = SessionDescription.parse(
            f"v=0\r\no=- 1 1 IN IP4 {ADDRESS}\r\ns=-\r\nc=IN IP4 {ADDRESS}\r\nt=0 0\r\n"
            f"m=audio {phone.address[1]} RTP/AVP 0 8\r\na=sendrecv\r\n"
        )
        offer = party.pass_offer(theirs)
        assert offer.media[0].protocol == "UDP/TLS/RTP/SAVPF"
        await web.setRemoteDescription(RTCSessionDescription(str(offer), "offer"))
        await web.setLocalDescription(await web.createAnswer())
        party.theirs = SessionDescription.parse(web.localDescription.sdp)
        party.settle()
        far.configure(settings(phone.address))
        assert party.stream is not None
        party.stream.connect(far)
        speaking = asyncio.create_task(phone.speak(far.local, sine(700, 30)))
        await _heard(web, 700)
        async with asyncio.timeout(10):
            while len(sound := phone.sound()[-4000:]) < 4000 or not sound.any() or share(sound, 8000, 440) < 0.9:
                await phone.wait(len(phone.got) + 1)
        speaking.cancel()
        await party.close()
        phone.close()


async def test_rtp_and_rtcp_on_two_ports_have_a_handshake_each() -> None:
    """RFC 5764 §4.1, for telephones without rtcp-mux; a report that comes under the second keys is read."""
    identity, heard = Identity(), Reception()
    heard.packet(1, 9)
    heard.packet(5, 9)
    async with engine() as media:
        stream = await media.open(Ear())
        voice, control = await FakePhone.make(), await FakePhone.make()
        peer = DtlsPeer((tuple(identity.fingerprint.split()),), client=False)  # type: ignore[arg-type]
        stream.configure(settings(voice.address, dtls=peer, control=control.address))
        keys = [
            await shake_hands(phone, (stream.local[0], stream.local[1] + at), identity, stream.fingerprint)
            for at, phone in enumerate((voice, control))
        ]
        report = rtcp.report(9, "phone", None, heard.block(0, 0))
        sealed = Sealer(keys[1].suite, keys[1].send).seal_control(report)
        assert sealed is not None
        control.transport.sendto(sealed, (stream.local[0], stream.local[1] + 1))
        stream.tone(440, 5)
        await voice.wait(len(voice.got) + 3)  # the worker has come past the report
        figures = await stream.close()
        voice.close()
        control.close()
    assert keys[0].send != keys[1].send
    assert figures.far_lost == 3


async def test_who_has_another_certificate_than_was_said_is_never_heard() -> None:
    """RFC 5763 §5: the handshake fails, no keys come of it, and what he sends under any keys or none is dropped."""
    honest, forger = Identity(), Identity()
    async with engine() as media:
        stream, other = await media.open(Ear()), await media.open(Ear())
        thief, phone = await FakePhone.make(), await FakePhone.make()
        named = DtlsPeer((tuple(honest.fingerprint.split()),), client=False)  # type: ignore[arg-type]
        stream.configure(settings(thief.address, dtls=named, mux=True))
        other.configure(settings(phone.address))
        stream.connect(other)
        shaking = Handshake(forger, DtlsPeer((tuple(stream.fingerprint.split()),), client=True))  # type: ignore[arg-type]
        waiting, taken = shaking.begin(), 0
        while waiting and shaking.keys is None:
            for datagram in waiting:
                thief.transport.sendto(datagram, stream.local)
            taken += 1
            waiting = shaking.receive((await thief.wait(taken))[-1])
        for datagram in waiting:  # his last flight, with the certificate
            thief.transport.sendto(datagram, stream.local)
        keys = shaking.keys
        sealer = None if keys is None else Sealer(keys.suite, keys.send)
        for number in range(10):
            packet = rtp.build(0, number, number * 160, 7, sine(440, 0.02))
            thief.transport.sendto(packet, stream.local)
            if sealer is not None and (sealed := sealer.seal(packet)) is not None:
                thief.transport.sendto(sealed, stream.local)
        for _ in range(10):
            phone.send(other.local, sine(620, 0.02))
        other.tone(440, 5)
        await phone.wait(5)  # the worker has come past all of that
        assert not any(0x80 <= data[0] <= 0xBF for data in thief.got)  # RFC 7983 §7: RTP, encrypted or not
        figures = await stream.close()
        assert figures.packets_received == 0
        thief.close()
        phone.close()


async def shake_hands(phone: FakePhone, to: tuple[str, int], identity: Identity, fingerprint: str) -> SrtpKeys:
    """As the client of one handshake; returns its keys."""
    handshake = Handshake(identity, DtlsPeer((tuple(fingerprint.split()),), client=True))  # type: ignore[arg-type]
    waiting, taken = handshake.begin(), 0
    while True:
        for datagram in waiting:
            phone.transport.sendto(datagram, to)
        if handshake.keys is not None:
            return handshake.keys
        taken += 1
        waiting = handshake.receive((await phone.wait(taken))[-1])
