"""Calls that talk all the while: numbered packets both ways every 20 ms, and how each one fared. RFC 3550.

The moment of arrival is the kernel's, so that a busy test does not count; how late we send is taken off.
"""

from __future__ import annotations

import select
import socket
import struct
import threading
import time
from dataclasses import dataclass
from types import TracebackType

from bench.phones import Call, Telephones

_SO_TIMESTAMPNS = 35  # socket(7); Python has no name for it
_HEADER = struct.Struct("!BBHII")
_SOUND = bytes(range(160))
_PACE = 0.02


@dataclass(frozen=True, slots=True)
class Heard:
    """Packets sent and lost; how long they were on the way, in milliseconds (the 99th of a hundred, and the worst)."""

    sent: int
    lost: int
    way: float
    worst: float


class Talking:
    """`with Talking(phones) as talking: talking.begin(NAME, 2)`; `now()` marks a moment, `heard` tells of a while."""

    def __init__(self, phones: Telephones) -> None:
        self._phones = phones
        self._legs: list[Call] = []
        self._sent: list[list[int]] = []
        self._got: list[dict[int, int]] = []
        self._number = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._talk, daemon=True)

    def __enter__(self) -> Talking:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.end()

    def begin(self, name: str, count: int) -> None:
        """Call, and talk."""
        calls = [self._phones.call(name) for _ in range(count)]
        self._phones.until(lambda: all(call.status for call in calls) and len(self._phones.taken) == count)
        assert [call.status for call in calls] == [200] * count
        self._legs = [*calls, *self._phones.taken.values()]
        for leg in self._legs:
            leg.sound.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
            self._sent.append([])
            self._got.append({})
        self._thread.start()

    def end(self) -> None:
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join(5)

    def now(self) -> int:
        """The number of the next packet."""
        return self._number

    def heard(self, first: int, last: int) -> Heard:
        """How the packets of those numbers fared, on all legs. Ask a moment after they were sent."""
        count = len(self._legs)
        ways: list[float] = []
        for place in range(count):
            sent, got = self._sent[place], self._got[(place + count // 2) % count]
            came = [number for number in range(first, last) if number in got]
            ways += ((got[number] - sent[number]) / 1e6 for number in came)
        ways.sort()
        total = (last - first) * count
        return Heard(total, total - len(ways), ways[len(ways) * 99 // 100], ways[-1])

    def _talk(self) -> None:
        places = {leg.sound.fileno(): place for place, leg in enumerate(self._legs)}
        poll = select.poll()
        for descriptor in places:
            poll.register(descriptor, select.POLLIN)
        begun = time.monotonic()
        while not self._ended.is_set():
            for place, leg in enumerate(self._legs):
                packet = _HEADER.pack(0x80, 0, self._number & 0xFFFF, self._number * 160 & 0xFFFFFFFF, place) + _SOUND
                self._sent[place].append(time.time_ns())
                assert leg.peer is not None
                leg.sound.sendto(packet, leg.peer)
            self._number += 1
            while (left := begun + self._number * _PACE - time.monotonic()) > 0:
                for descriptor, _ in poll.poll(max(1, round(left * 1000))):
                    self._listen(places[descriptor])

    def _listen(self, place: int) -> None:
        try:
            data, said, _, _ = self._legs[place].sound.recvmsg(2048, 128)
        except BlockingIOError:
            return
        seconds, nanoseconds = struct.unpack("qq", said[0][2][:16])
        # so few minutes are not 65,536 packets
        self._got[place].setdefault(_HEADER.unpack_from(data)[2], seconds * 1_000_000_000 + nanoseconds)
