"""What stands between the socket and the RTP of one encrypted stream: connectivity checks, handshake, keys.

A datagram is told by its first octet (RFC 7983 §7): 0-3 STUN, 20-63 DTLS, 128-191 RTP and RTCP. Not here: sockets, and
which source is believed after all this (`latch`). RFC 3711, RFC 5764, RFC 8445.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from pbx.mediaproxy.dtls import Handshake, Identity
from pbx.mediaproxy.engine import SrtpKeys, StreamSettings
from pbx.mediaproxy.ice import IceLite
from pbx.mediaproxy.latch import Address
from pbx.mediaproxy.srtp import Opener, Sealer

Send = Callable[[bytes, Address], None]


def control_packet(second: int) -> bool:
    """Whether the second octet is one of RTCP, for RTP and RTCP on one port (RFC 5761 §4)."""
    return 192 <= second <= 223


class Lane:
    """One stream's; made when its settings ask for encryption or ICE."""

    def __init__(self, identity: Identity, send: Send, counted: Counter[str]) -> None:
        self._identity = identity
        self._send = send
        self._counted = counted
        self.ice: IceLite | None = None
        self._handshake: Handshake | None = None
        self._opener: Opener | None = None
        self._sealer: Sealer | None = None
        self._plain = True

    def configure(self, settings: StreamSettings, targets: tuple[Address, ...]) -> None:
        """Take what was negotiated; what stays the same keeps its state (packet counts, handshake)."""
        if settings.ice is None:
            self.ice = None
        elif self.ice is None or self.ice.keys != settings.ice:
            self.ice = IceLite(settings.ice)
        self._plain = settings.srtp is None and settings.dtls is None
        if settings.srtp is not None:
            self._handshake = None
            self._take(settings.srtp)
        elif settings.dtls is None:
            self._handshake = self._opener = self._sealer = None
        elif self._handshake is None or self._handshake.peer != settings.dtls:
            self._opener = self._sealer = None
            self._handshake = Handshake(self._identity, settings.dtls)
            self._begin(targets)

    def _begin(self, targets: tuple[Address, ...]) -> None:
        """As client we speak first: at once, or when a path is known."""
        if self._handshake is not None and targets:
            self._answer(self._handshake.begin(), targets[0])

    def _take(self, keys: SrtpKeys) -> None:
        if self._opener is None or self._opener.key != (keys.suite, keys.receive, keys.mki):
            self._opener = Opener(keys.suite, keys.receive, keys.mki)
        if self._sealer is None or self._sealer.key != (keys.suite, keys.send):
            self._sealer = Sealer(keys.suite, keys.send)

    # --- in

    def receive(self, data: bytes, source: Address, expected: bool) -> bytes | None:
        """The RTP or RTCP packet in a datagram; None when it was something else or nothing good. `expected`: it comes
        from where the peer may be, as far as signalling tells."""
        first = data[0] if data else 0xFF
        if first < 4:
            self._check(data, source)
        elif self.ice is not None and not self.ice.valid(source):
            self._counted["media.strangers"] += 1
        elif 20 <= first < 64:
            self._shake(data, source, expected or self.ice is not None)
        elif 128 <= first < 192 and len(data) > 8:
            return self._open(data, control_packet(data[1]))
        else:
            self._counted["media.malformed"] += 1
        return None

    def _open(self, data: bytes, control: bool) -> bytes | None:
        if self._plain:
            return data
        if self._opener is None:
            self._counted["media.srtp_early"] += 1
            return None
        opened = self._opener.open_control(data) if control else self._opener.open(data)
        if opened is None:
            self._counted["media.srtp_refused"] += 1
        return opened

    def _check(self, data: bytes, source: Address) -> None:
        """A connectivity check: answered when its password is right (RFC 8445 §7.3)."""
        ice = self.ice
        if ice is None:
            self._counted["media.strangers"] += 1
            return
        before = ice.selected
        answer = ice.receive(data, source)
        if answer is None:
            self._counted["media.checks_refused"] += 1
            return
        self._send(answer, source)
        if before is None and ice.selected is not None:
            self._begin((ice.selected,))

    def _shake(self, data: bytes, source: Address, expected: bool) -> None:
        handshake = self._handshake
        if handshake is None or not expected:
            self._counted["media.strangers"] += 1
            return
        failed = handshake.failed
        self._answer(handshake.receive(data), source)
        if handshake.keys is not None:
            self._take(handshake.keys)
        elif handshake.failed and not failed:
            self._counted["media.handshakes_failed"] += 1

    def _answer(self, datagrams: list[bytes], target: Address) -> None:
        for datagram in datagrams:
            self._send(datagram, target)

    def tick(self, targets: tuple[Address, ...]) -> None:
        """Once a second."""
        if self._handshake is not None and targets:
            self._answer(self._handshake.tick(), targets[0])

    # --- out

    def seal(self, packet: bytes | memoryview, *, control: bool = False) -> bytes | None:
        """The packet as it goes out; None before there are keys."""
        data = bytes(packet)
        if self._plain:
            return data
        if self._sealer is None:
            return None
        return self._sealer.seal_control(data) if control else self._sealer.seal(data)
