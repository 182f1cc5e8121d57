"""The two ports of a stream, what protects them, and where they send to.

Not here: what the packets mean, and which source is believed (`endpoint`). RFC 3550 §11, RFC 5761, RFC 5764 §4.1.
"""

from __future__ import annotations

import socket
from collections import Counter

from pbx.mediaproxy.dtls import Identity
from pbx.mediaproxy.engine import StreamSettings
from pbx.mediaproxy.lane import Lane
from pbx.mediaproxy.latch import Address
from pbx.mediaproxy.plan import numeric


class Wire:
    """One stream's. `targets` are where RTP goes (none: nowhere); `control_source` is where the peer's RTCP comes
    from."""

    def __init__(self, media: socket.socket, control: socket.socket, identity: Identity, counted: Counter[str]) -> None:
        self.media = media
        self.control = control
        self.port: int = media.getsockname()[1]
        self.targets: tuple[Address, ...] = ()
        self.control_source: Address | None = None
        self.lane: Lane | None = None
        self.control_lane: Lane | None = None  # the same one, but for DTLS with RTCP on a port of its own
        self._identity = identity
        self._counted = counted
        self._settings: StreamSettings | None = None

    def secure(self, settings: StreamSettings) -> None:
        """Take what was negotiated, after `targets` are known."""
        self._settings, self.control_source = settings, None
        if settings.srtp is None and settings.dtls is None and settings.ice is None:
            self.lane = self.control_lane = None
            return
        if self.lane is None:
            self.lane = Lane(self._identity, self._transmit, self._counted)
        self.lane.configure(settings, self.targets)
        self._secure_control(settings)

    def _secure_control(self, settings: StreamSettings) -> None:
        """RFC 5764 §4.1: without rtcp-mux there is a handshake for each of the two ports, and keys from each."""
        if settings.dtls is None or settings.mux or settings.ice is not None:
            self.control_lane = self.lane
            return
        if self.control_lane is None or self.control_lane is self.lane:
            self.control_lane = Lane(self._identity, self._transmit_control, self._counted)
        self.control_lane.configure(settings, self._control_targets())

    def _control_targets(self) -> tuple[Address, ...]:
        """Where RTCP goes: to where the peer's came from, else to what signalling named, else to the next port."""
        if not self.targets or self._settings is None:
            return ()
        host, port = self.targets[0]
        return (self.control_source or numeric(self._settings.control) or (host, port + 1),)

    @property
    def selected(self) -> Address | None:
        """The path that the peer's connectivity checks have shown; None without any."""
        return None if self.lane is None or self.lane.ice is None else self.lane.ice.selected

    # --- sending

    def send(self, data: bytes | memoryview) -> tuple[int, int]:
        """Send one RTP packet to all that may be the peer; returns the packets and octets that have left."""
        if self.lane is not None:
            sealed = self.lane.seal(data)
            if sealed is None:
                self._counted["media.not_sealed"] += 1
                return 0, 0
            data = sealed
        packets = 0
        for target in self.targets:
            try:
                self.media.sendto(data, target)
            except OSError:
                self._counted["media.send_failed"] += 1
                continue
            packets += 1
        return packets, packets * len(data)

    def send_control(self, data: bytes) -> None:
        """Send one RTCP packet, on the RTP port when both are on one."""
        settings = self._settings
        if not self.targets or settings is None:
            return
        if self.control_lane is not None:
            sealed = self.control_lane.seal(data, control=True)
            if sealed is None:
                self._counted["media.not_sealed"] += 1
                return
            data = sealed
        if settings.mux:
            self._transmit(data, self.targets[0])
        else:
            self._transmit_control(data, self._control_targets()[0])

    def _transmit(self, data: bytes, target: Address) -> None:
        """As it is, which is also how the lane says what it has to say itself."""
        try:
            self.media.sendto(data, target)
        except (OSError, OverflowError):
            self._counted["media.send_failed"] += 1

    def _transmit_control(self, data: bytes, target: Address) -> None:
        """The same on the port of RTCP."""
        try:
            self.control.sendto(data, target)
        except (OSError, OverflowError):
            self._counted["media.send_failed"] += 1

    # --- life

    def tick(self) -> None:
        """Once a second."""
        if self.lane is not None:
            self.lane.tick(self.targets)
        if self.control_lane is not None and self.control_lane is not self.lane:
            self.control_lane.tick(self._control_targets())

    def close(self) -> None:
        self.media.close()
        self.control.close()
