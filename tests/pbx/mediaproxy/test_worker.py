"""The real worker process on loopback, with telephones of bare RTP."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from pathlib import Path

import pytest
import soundfile

from base.failures import Failure
from pbx.mediaproxy import rtp, wav
from pbx.mediaproxy.engine import StreamSettings
from pbx.mediaproxy.g711 import Law
from tests.pbx.mediaproxy.desk import ADDRESS, Ear, FakePhone, clip, engine, settings, sine
from tests.tones import make_tone, seconds_heard, share

ROOT = Path(__file__).resolve().parents[3]
SERVER = """
import asyncio, sys
from pathlib import Path
from base.log import configure
from pbx.mediaproxy.engine import StreamSettings
from tests.pbx.mediaproxy.desk import Ear, engine

async def serve():
    async with engine() as media:
        stream = await media.open(Ear())
        stream.configure(StreamSettings(("127.0.0.1", 9), 0, {0: "PCMU/8000"}))
        stream.record(Path(sys.argv[1]), limit=60)
        print(media.worker_pid, stream.local[1], flush=True)
        await asyncio.Event().wait()

configure("error")
asyncio.run(serve())
"""


async def test_the_relay_changes_no_octet_and_lets_digits_through_and_up() -> None:
    async with engine() as media:
        ears = Ear(), Ear()
        phones = await FakePhone.make(), await FakePhone.make()
        streams = [await media.open(ear) for ear in ears]
        for stream, phone in zip(streams, phones, strict=True):
            stream.configure(settings(phone.address))
        streams[0].connect(streams[1])
        sent = [phones[0].send(streams[0].local, sine(440, 0.02)) for _ in range(20)]
        sent.append(phones[0].send(streams[0].local, bytes.fromhex("050a0320"), 101, marker=True))
        sent.append(phones[0].send(streams[0].local, bytes.fromhex("058a0320"), 101))
        back = [phones[1].send(streams[1].local, sine(700, 0.02), 8) for _ in range(20)]
        assert await ears[0].wait("digit") == ("digit", "5", 100)
        arrived = [data for data in await phones[1].wait(22) if data in sent]
        assert len(arrived) >= 21  # one may have been the first, before both sides were configured
        assert await phones[0].wait(20) == back or set(back) <= set(phones[0].got)
        figures = await streams[0].close()
        assert (figures.packets_received, figures.lost, figures.strangers) == (22, 0, 0)
        for phone in phones:
            phone.close()


async def test_payload_numbers_and_laws_are_translated() -> None:
    async with engine() as media:
        phones = await FakePhone.make(), await FakePhone.make()
        left, right = await media.open(Ear()), await media.open(Ear())
        left.configure(StreamSettings(phones[0].address, 0, {0: "PCMU/8000", 96: "TELEPHONE-EVENT/8000"}, dtmf=96))
        right.configure(StreamSettings(phones[1].address, 8, {8: "PCMA/8000", 101: "TELEPHONE-EVENT/8000"}, dtmf=101))
        left.connect(right)
        for _ in range(10):
            phones[0].send(left.local, sine(500, 0.02))
        phones[0].send(left.local, bytes.fromhex("058a0320"), 96)
        packets = [rtp.parse(data) for data in await phones[1].wait(11)]
        assert [packet.payload_type for packet in packets if packet].count(101) == 1
        assert share(phones[1].sound(Law.ALAW, 8), 8000, 500) > 0.95
        for phone in phones:
            phone.close()


async def test_a_clip_is_heard_and_its_end_told_once(tmp_path: Path) -> None:
    tone = clip(make_tone(tmp_path / "tone.wav", 600.0, seconds=0.5, rate=16000))
    async with engine() as media:
        ear, phone = Ear(), await FakePhone.make()
        stream = await media.open(ear)
        stream.configure(settings(phone.address, ptime=30))
        play = stream.play(tone)
        assert await ear.wait("played") == ("played", play)
        assert {len(data) for data in phone.got} == {12 + 240}
        assert share(phone.sound()[-3600:], 8000, 600) > 0.8
        looped = stream.play(tone, seconds=1.2)
        assert await ear.wait("played", 2) == ("played", looped)
        stream.play(tone, seconds=-1)
        await phone.wait(len(phone.got) + 10)
        assert stream.stop() < 0.5
        assert len(ear.all("played")) == 2
        phone.close()


async def test_a_prompt_that_cannot_be_read_is_over_at_once(tmp_path: Path) -> None:
    broken = tmp_path / "broken.wav"
    broken.write_bytes(b"RIFF nonsense")
    async with engine() as media:
        ear, phone = Ear(), await FakePhone.make()
        stream = await media.open(ear)
        stream.configure(settings(phone.address))
        play = stream.play(clip(broken))
        assert await ear.wait("played") == ("played", play)
        phone.close()


async def test_what_is_said_is_recorded_until_silence(tmp_path: Path) -> None:
    async with engine() as media:
        ear, phone = Ear(), await FakePhone.make()
        stream = await media.open(ear)
        stream.configure(settings(phone.address, codec=8))
        record = stream.record(tmp_path / "said.wav", limit=20, silence=1.0)
        await phone.speak(stream.local, sine(800, 1.5, Law.ALAW), payload_type=8, frame=240)
        told = await ear.wait("recorded")
        assert told[:3] == ("recorded", record, "silence")
        info = soundfile.info(tmp_path / "said.wav")
        assert (info.samplerate, info.channels, info.subtype) == (8000, 1, "PCM_16")
        assert told[3] == pytest.approx(info.duration)
        assert 1.2 < seconds_heard(tmp_path / "said.wav", 800) <= 1.6
        phone.close()


async def test_a_stranger_is_dropped_and_counted(tmp_path: Path) -> None:
    async with engine() as media:
        phone, far, stranger = [await FakePhone.make() for _ in range(3)]
        left, right = await media.open(Ear()), await media.open(Ear())
        left.configure(settings(phone.address))
        right.configure(settings(far.address))
        left.connect(right)
        phone.send(left.local, sine(440, 0.02))
        await far.wait(1)
        stranger.ssrc = 1
        for _ in range(10):
            stranger.send(left.local, sine(900, 0.02))
        phone.send(left.local, sine(440, 0.02))
        await far.wait(2)
        assert len(far.got) == 2  # alone it would soon hear silence
        figures = await left.close()
        assert (figures.strangers, figures.packets_received) == (10, 2)
        for each in (phone, far, stranger):
            each.close()


async def test_a_killed_worker_costs_at_most_a_second_of_a_recording(tmp_path: Path) -> None:
    async with engine() as media:
        ear, phone = Ear(), await FakePhone.make()
        stream = await media.open(ear)
        stream.configure(settings(phone.address))
        stream.record(tmp_path / "said.wav", limit=60)
        await phone.speak(stream.local, sine(800, 2.0))
        killed = media.worker_pid
        assert killed is not None
        os.kill(killed, signal.SIGKILL)
        told = await ear.wait("recorded")
        await ear.wait("lost")
        assert told[2] == "lost"
        assert [item[0] for item in ear.told] == ["recorded", "lost"]
        assert soundfile.info(tmp_path / "said.wav").duration == pytest.approx(told[3])
        assert isinstance(told[3], float)
        assert told[3] > 1.0
        stream.play(clip(tmp_path / "said.wav"))  # does nothing
        async with asyncio.timeout(30):
            while media.worker_pid in (None, killed):
                await asyncio.sleep(0.05)
        again = await media.open(Ear())
        again.configure(settings(phone.address))
        before = len(phone.got)
        await phone.wait(before + 3)
        phone.close()


async def test_a_full_disk_ends_the_recording_and_leaves_nothing(tmp_path: Path) -> None:
    async with engine() as media:
        ear, phone = Ear(), await FakePhone.make()
        stream = await media.open(ear)
        stream.configure(settings(phone.address))
        (tmp_path / "file").write_text("no folder")
        record = stream.record(tmp_path / "file" / "said.wav", limit=60)
        assert await ear.wait("recorded") == ("recorded", record, "failed", 0.0)
        phone.close()


async def test_taken_ports_are_skipped_and_a_full_range_refused() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind((ADDRESS, 34501))
        async with engine(ports=range(34500, 34506)) as media:
            first, second = await media.open(Ear()), await media.open(Ear())
            assert [first.local[1], second.local[1]] == [34502, 34504]
            with pytest.raises(Failure) as refusal:
                await media.open(Ear())
            assert refusal.value.code == "unavailable"
            await first.close()
            assert (await media.open(Ear())).local[1] == 34502


async def test_echo_sends_back_what_comes() -> None:
    async with engine() as media:
        ear, phone = Ear(), await FakePhone.make()
        stream = await media.open(ear)
        stream.configure(settings(phone.address))
        stream.echo(True)
        await phone.speak(stream.local, sine(800, 1.0))
        assert share(phone.sound()[-4000:], 8000, 800) > 0.8
        ssrcs = {packet.ssrc for data in phone.got if (packet := rtp.parse(data))}
        assert len(ssrcs) == 1
        assert phone.ssrc not in ssrcs
        phone.close()


async def test_digits_are_sent_and_heard() -> None:
    async with engine() as media:
        ear = Ear()
        left, right = await media.open(Ear()), await media.open(ear)
        left.configure(settings(right.local))
        right.configure(settings(left.local))
        left.send_digit("7", 100)
        left.send_digit("#", 60)
        await ear.wait("digit", 2)
        assert [item[1] for item in ear.told] == ["7", "#"]


async def test_silence_of_the_peer_is_told() -> None:
    async with engine(silent_after=1.0) as media:
        ear, phone = Ear(), await FakePhone.make()
        stream = await media.open(ear)
        stream.configure(settings(phone.address))
        told = await ear.wait("silent", 2)
        assert isinstance(told[1], float)
        assert told[1] >= 2.0
        phone.close()


async def test_garbage_is_counted_and_harms_nobody() -> None:
    async with engine() as media:
        ear, phone = Ear(), await FakePhone.make()
        stream = await media.open(ear)
        stream.configure(settings(phone.address))
        for junk in (b"", b"\x80", b"\x00" * 40, b"\xbf\x00" + b"\xff" * 30, os.urandom(1600), b"\x80\x55" + bytes(20)):
            phone.transport.sendto(junk, stream.local)
            phone.transport.sendto(junk, (ADDRESS, stream.local[1] + 1))
        phone.send(stream.local, b"\xff" * 160)
        await phone.wait(3)
        assert (await stream.close()).packets_received == 1
        phone.close()


async def test_closing_frees_everything() -> None:
    async with engine() as media:
        streams = [await media.open(Ear()) for _ in range(20)]
        await asyncio.gather(*(stream.close() for stream in streams))
        assert media.loaded() == 0


async def test_a_worker_that_hangs_is_killed() -> None:
    async with engine(hung_after=1.5) as media:
        ear = Ear()
        await media.open(ear)
        assert media.worker_pid is not None
        os.kill(media.worker_pid, signal.SIGSTOP)
        await ear.wait("lost", timeout=8)
        await media.open(Ear())


def running(process: int) -> bool:
    try:
        return b") Z" not in Path(f"/proc/{process}/stat").read_bytes()
    except OSError:
        return False


async def test_a_killed_server_leaves_a_playable_recording_and_no_worker(tmp_path: Path) -> None:
    """The child is a server of one recording; it is killed as `kill -9` does it."""
    path = tmp_path / "said.wav"
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", SERVER, str(path), cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    assert child.stdout is not None
    async with asyncio.timeout(20):
        worker, port = map(int, (await child.stdout.readline()).split())
        phone = await FakePhone.make()
        await phone.speak((ADDRESS, port), sine(800, 2.0))
        child.kill()
        await child.wait()
        assert wav.repair_wav(path) > 1.0
        assert seconds_heard(path, 800) > 0.8
        while running(worker):
            await asyncio.sleep(0.05)
    phone.close()


async def test_recordings_do_not_mix_when_others_end(tmp_path: Path) -> None:
    async with engine() as media:
        ears = [Ear() for _ in range(3)]
        phones = [await FakePhone.make() for _ in ears]
        streams = [await media.open(ear) for ear in ears]
        for number, (stream, phone) in enumerate(zip(streams, phones, strict=True)):
            stream.configure(settings(phone.address, codec=8 if number == 1 else 0))
            stream.record(tmp_path / f"{number}.wav", limit=0.5 if number == 0 else 1.5)
        await asyncio.gather(
            phones[0].speak(streams[0].local, sine(500, 1.0)),
            phones[1].speak(streams[1].local, sine(900, 1.0, Law.ALAW), payload_type=8),
            phones[2].speak(streams[2].local, sine(1300, 1.0), frame=80),
        )
        assert [(await ear.wait("recorded"))[2] for ear in ears] == ["limit"] * 3
        for number, hertz in enumerate((500, 900, 1300)):
            others = {500, 900, 1300} - {hertz}
            assert seconds_heard(tmp_path / f"{number}.wav", hertz) >= 0.3
            assert all(seconds_heard(tmp_path / f"{number}.wav", other, least=0.1) == 0 for other in others)
        for phone in phones:
            phone.close()


async def test_a_prompt_interrupts_the_relay_and_gives_it_back(tmp_path: Path) -> None:
    tone = clip(make_tone(tmp_path / "tone.wav", 600.0, seconds=0.4))
    async with engine() as media:
        ear = Ear()
        near, far = await FakePhone.make(), await FakePhone.make()
        left, right = await media.open(ear), await media.open(Ear())
        left.configure(settings(near.address))
        right.configure(settings(far.address))
        left.connect(right)
        play = left.play(tone)
        await far.speak(right.local, sine(900, 1.0))
        assert ear.told == [("played", play)]
        packets = [packet for data in near.got if (packet := rtp.parse(data))]
        spoken = [packet.payload[:40] == sine(900, 0.005) for packet in packets]  # each packet begins the wave anew
        assert (spoken[-10:], sum(spoken[:15])) == ([True] * 10, 0)
        assert {packet.ssrc for packet in packets} == {packets[0].ssrc}
        near.close()
        far.close()


async def test_rtcp_is_forwarded_from_the_peer_only() -> None:
    async with engine() as media:
        left, right = await media.open(Ear()), await media.open(Ear())
        near, far = await FakePhone.make(), await FakePhone.make()
        far_control = FakePhone()
        await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: far_control, local_addr=(ADDRESS, far.address[1] + 1)
        )
        left.configure(settings(near.address))
        right.configure(settings(far.address))
        left.connect(right)
        report = b"\x80\xc9\x00\x01" + b"\x00\x00\x00\x07"
        near.transport.sendto(report, (ADDRESS, left.local[1] + 1))
        assert await far_control.wait(1) == [report]
        assert far_control.sources[0][1] == right.local[1] + 1
        for phone in (near, far, far_control):
            phone.close()


async def test_a_flood_of_strangers_does_not_drown_the_phone() -> None:
    async with engine() as media:
        near, far, stranger = [await FakePhone.make() for _ in range(3)]
        left, right = await media.open(Ear()), await media.open(Ear())
        left.configure(settings(near.address))
        right.configure(settings(far.address))
        left.connect(right)
        near.send(left.local, bytes(160))
        await far.wait(1)
        for burst in range(6):
            for _ in range(100):
                stranger.send(left.local, bytes(160))
            near.send(left.local, bytes(160))
            await far.wait(burst + 2)
        assert (await left.close()).packets_received == 7
        for phone in (near, far, stranger):
            phone.close()


async def test_two_streams_sent_to_each_other_do_not_run_away() -> None:
    async with engine() as media:
        streams = [await media.open(Ear()) for _ in range(4)]
        for near, far in ((0, 1), (2, 3)):
            streams[near].connect(streams[far])
        for stream, towards in zip(streams, (3, 2, 1, 0), strict=True):
            stream.configure(settings(streams[towards].local))
        phone = await FakePhone.make()
        phone.transport.sendto(rtp.build(0, 1, 1, 1, bytes(160)), streams[0].local)
        ear = Ear()
        timer = await media.open(ear)
        timer.configure(settings(phone.address))
        timer.tone(0, 2.0)
        await ear.wait("played")
        assert (await streams[0].close()).packets_received <= 3 * 400
        phone.close()
