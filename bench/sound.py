"""RTP for benches: G.711 packets every 20 ms from many sockets, spread over the 20 ms. Blocks. RFC 3550, RFC 3551."""

from __future__ import annotations

import random
import socket
import struct
import time
from collections.abc import Sequence

from bench.phones import Call

_NOISE = random.Random(1).randbytes(160)
"""Loud enough that no recorder takes it for silence."""


def speak(calls: Sequence[Call], seconds: float, first: int = 0) -> int:
    """Send on all calls; throws away what comes. `first` is the number of the first packet. Returns how many went."""
    pairs = [(call.sound, call.peer) for call in calls if call.peer is not None]
    begun, sent = time.monotonic(), 0
    for beat in range(round(seconds * 50)):
        number = first + beat
        packet = struct.pack("!BBHII", 0x80, 0, number & 0xFFFF, number * 160 & 0xFFFFFFFF, 99) + _NOISE
        for place, (sock, peer) in enumerate(pairs):
            sock.sendto(packet, peer)
            sent += 1
            if place % 10 == 9:
                time.sleep(max(0.0, begun + (beat + place / len(pairs)) * 0.02 - time.monotonic()))
        listen(calls)
        time.sleep(max(0.0, begun + (beat + 1) * 0.02 - time.monotonic()))
    return sent


def listen(calls: Sequence[Call]) -> int:
    """Take what has come; returns how many packets."""
    return sum(_drain(call.sound) for call in calls)


def _drain(sock: socket.socket) -> int:
    count = 0
    try:
        while True:
            sock.recv(2048)
            count += 1
    except BlockingIOError:
        return count
