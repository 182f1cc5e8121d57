"""What a packet of voice costs: a real media worker on loopback, its CPU time read from the kernel.

Only figures, no pass or fail. The generator and the sinks run in this process and are not counted.
"""

from __future__ import annotations

import asyncio
import os
import socket
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from base.clock import LoopClock
from base.metrics import Metrics
from pbx.mediaproxy import rtp, wav
from pbx.mediaproxy.control import MediaControl, MediaPlan
from pbx.mediaproxy.engine import Clip, MediaStream, StreamSettings

ADDRESS = "127.0.0.1"
CALLS = 100
SECONDS = 4.0
Figure = tuple[str, float, str]
_NAMES = {0: "PCMU/8000", 101: "TELEPHONE-EVENT/8000"}


class Deaf:
    """A listener that does not care."""

    def media_digit(self, digit: str, milliseconds: int) -> None: ...
    def media_played(self, play: int) -> None: ...
    def media_recorded(self, record: int, cause: str, seconds: float) -> None: ...
    def media_silent(self, seconds: float) -> None: ...
    def media_lost(self) -> None: ...


def _cpu(process: int) -> float:
    """Seconds of CPU that a process has used."""
    fields = Path(f"/proc/{process}/stat").read_text().rsplit(") ", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _memory(process: int) -> float:
    """Resident kilobytes."""
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1024


class _Peers:
    """Sockets that send a packet each 20 ms and throw away what they get."""

    def __init__(self, count: int) -> None:
        self.sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(count)]
        for sock in self.sockets:
            sock.bind((ADDRESS, 0))
            sock.setblocking(False)

    def speak(self, streams: Sequence[MediaStream], seconds: float) -> int:
        """Blocks, spread evenly over each 20 ms; returns how many packets were sent."""
        sent, begun = 0, time.monotonic()
        pairs = list(zip(self.sockets, [stream.local for stream in streams], strict=True))
        for beat in range(round(seconds * 50)):
            packet = rtp.build(0, beat, beat * 160, 99, b"\xd0" * 160)
            for place, (sock, address) in enumerate(pairs):
                sock.sendto(packet, address)
                sent += 1
                if place % 10 == 9:
                    time.sleep(max(0.0, begun + (beat + place / len(pairs)) * 0.02 - time.monotonic()))
            self.drain()
        return sent

    def drain(self) -> None:
        for sock in self.sockets:
            try:
                while True:
                    sock.recv(2048)
            except BlockingIOError:
                pass

    def close(self) -> None:
        for sock in self.sockets:
            sock.close()


async def _streams(media: MediaControl, peers: _Peers) -> list[MediaStream]:
    streams = [await media.open(Deaf()) for _ in peers.sockets]
    for stream, sock in zip(streams, peers.sockets, strict=True):
        stream.configure(StreamSettings(sock.getsockname(), 0, _NAMES, dtmf=101))
    return streams


async def _measure(folder: Path) -> list[Figure]:
    metrics = Metrics()
    plan = MediaPlan(address=ADDRESS, ports=range(36000, 37000), priority=False)
    media = MediaControl(LoopClock(asyncio.get_running_loop()), metrics, plan)
    await media.start()
    peers = _Peers(2 * CALLS)
    try:
        process = media.worker_pid or 0
        before = _memory(process)
        streams = await _streams(media, peers)
        for left, right in zip(streams[::2], streams[1::2], strict=True):
            left.connect(right)
        await asyncio.to_thread(peers.speak, streams, 0.5)
        memory = (_memory(process) - before) / CALLS
        begun = _cpu(process)
        sent = await asyncio.to_thread(peers.speak, streams, SECONDS)
        relayed = (_cpu(process) - begun) / sent
        for stream in streams:
            stream.disconnect()
        played = await _played(media, process, streams[:CALLS], folder)
        recorded = await _recorded(media, process, streams[:CALLS], peers, folder)
        values = metrics.snapshot()
        for stream in streams:
            await stream.close()
    finally:
        await media.close()
        peers.close()
    return [
        (f"relayed RTP packet, {CALLS} calls", relayed * 1e6, "CPU µs"),
        (f"played RTP packet, {CALLS} streams", played * 1e6, "CPU µs"),
        (f"recorded frame with silence sent back, {CALLS} streams", recorded * 1e6, "CPU µs"),
        ("memory of a relayed call in the worker", memory, "kB"),
        ("beat lateness p50", values["media.beat_late_p50_ms"], "ms"),
        ("beat lateness p99", values["media.beat_late_p99_ms"], "ms"),
    ]


async def _played(media: MediaControl, process: int, streams: Sequence[MediaStream], folder: Path) -> float:
    """CPU seconds a packet; all other streams send silence meanwhile, which is cheaper by the clip's slice only."""
    path = folder / "clip.wav"
    samples = bytes(2 * 8000)
    path.write_bytes(wav.header(len(samples)) + samples)
    for stream in streams:
        stream.play(Clip(path, "bench"), seconds=-1)
    await asyncio.sleep(0.2)
    begun = _cpu(process)
    await asyncio.sleep(SECONDS)
    cost = (_cpu(process) - begun) / (2 * len(streams) * SECONDS * 50)
    for stream in streams:
        stream.stop()
    return cost


async def _recorded(
    media: MediaControl, process: int, streams: Sequence[MediaStream], peers: _Peers, folder: Path
) -> float:
    for number, stream in enumerate(streams):
        stream.record(folder / f"{number}.wav", limit=60)
    some = _Peers(0)
    some.sockets = peers.sockets[: len(streams)]
    begun = _cpu(process)
    sent = await asyncio.to_thread(some.speak, streams, SECONDS)
    cost = (_cpu(process) - begun) / sent
    for stream in streams:
        stream.stop_record()
    return cost


def run() -> list[Figure]:
    """The figures, as (what, value, unit); takes about 15 seconds."""
    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(_measure(Path(folder)))


if __name__ == "__main__":
    for what, value, unit in run():
        print(f"{what:60} {value:10.1f} {unit}")
