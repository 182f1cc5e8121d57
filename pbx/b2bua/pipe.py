"""Two programs that talk to each other: a pair of legs without SIP, whose streams send to one another on this host.

An attendant that connects a caller to a voicemail box is such a pair.
"""

from __future__ import annotations

from collections.abc import Callable

from pbx.b2bua.exchange import Exchange
from pbx.b2bua.leg import Leg
from pbx.mediaproxy.engine import StreamSettings
from pbx.sipcore.flow import Flow
from pbx.sipcore.sdp import SessionDescription
from pbx.sipcore.transactions import ServerTransaction

_TYPES = {0: "PCMU/8000", 101: "TELEPHONE-EVENT/8000"}
_HERE = Flow("udp", ("127.0.0.1", 0), ("127.0.0.1", 0))
_EMPTY = SessionDescription(("v=0",))


class PipeLeg(Leg):
    """One end; `peer` is the other. It is its own owner until a program takes it."""

    def __init__(self, exchange: Exchange, name: str, end: str, on_progress: Callable[[int], None]) -> None:
        super().__init__(exchange, (name, end), _HERE, self)
        self._on_progress = on_progress
        self.peer: PipeLeg | None = None

    async def open(self) -> None:
        await super().open()
        if self.peer is not None and self.peer.stream is None:
            await self.peer.open()

    def studio_answer(self) -> SessionDescription:
        peer = self.peer
        if peer is not None and self.stream is not None and peer.stream is not None:
            self.stream.configure(_towards(peer.stream.local))
            peer.stream.configure(_towards(self.stream.local))
        return _EMPTY

    def provision(self, status: int, reason: str = "", description: SessionDescription | None = None) -> None:
        self._on_progress(status)

    def accept(self, description: SessionDescription) -> None:
        self.exchange.clock.call_later(0.0, lambda: self.owner.leg_acknowledged(self))

    def hang_up(self, status: int = 0, reason: str = "") -> None:
        if not self.ended:
            self.finish()
            if (peer := self.peer) is not None:
                self.exchange.clock.call_later(0.0, lambda: peer._lost("BYE"))

    # --- an end that no program holds

    def leg_ended(self, leg: Leg, cause: str) -> None: ...

    def leg_acknowledged(self, leg: Leg) -> None: ...

    def leg_offer(self, leg: Leg, transaction: ServerTransaction) -> None: ...

    def leg_request(self, leg: Leg, transaction: ServerTransaction) -> None: ...

    def leg_digit(self, leg: Leg, digit: str) -> None: ...

    def leg_played(self, leg: Leg, play: int) -> None: ...

    def leg_recorded(self, leg: Leg, record: int, cause: str, seconds: float) -> None: ...


def make_pipe(exchange: Exchange, on_progress: Callable[[int], None]) -> tuple[PipeLeg, PipeLeg]:
    """The calling and the called end."""
    name = f"pipe-{exchange.entropy.token(8)}"
    near, far = PipeLeg(exchange, name, "near", on_progress), PipeLeg(exchange, name, "far", on_progress)
    near.peer, far.peer = far, near
    return near, far


def _towards(address: tuple[str, int]) -> StreamSettings:
    host = "127.0.0.1" if address[0] in ("", "0.0.0.0", "::") else address[0]
    return StreamSettings((host, address[1]), 0, dict(_TYPES), 101)
