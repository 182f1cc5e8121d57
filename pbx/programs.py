"""The port between `pbx` and the programs that answer and place calls. `pbx` owns it; `apps` and `pbx.b2bua.echo`
implement `Programs`, `pbx.b2bua` implements `ProgramLeg`. The words are CommuniGate's (spec: cgpl-builtins §12-14).
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from directory.model import Account, Caller
from pbx.mediaproxy.engine import Clip


class LegMode(enum.Enum):
    """The state of a program's call leg (CommuniGate's "Task modes")."""

    DISCONNECTED = "disconnected"
    INCOMING = "incoming"
    PROVISIONED = "provisioned"
    CONNECTED = "connected"


@dataclass(frozen=True, slots=True)
class RequestData:
    """What a program may ask of the pending INVITE, whatever protocol brought it."""

    call_id: str
    request_uri: str
    from_uri: str
    from_name: str
    to_uri: str
    headers: Mapping[str, tuple[str, ...]]


class LegListener(Protocol):
    """Who is told what happens to a leg: the Task that holds it. Called on the main loop, never re-entrantly from an
    operation of the same leg."""

    def leg_digit(self, digit: str) -> None:
        """DTMF, from telephone-event or INFO, each press once."""

    def leg_disconnected(self) -> None:
        """The peer hung up or cancelled, or the media worker died. The leg is DISCONNECTED; told once."""

    def leg_provisioned(self, status: int) -> None:
        """A provisional answer to `start_call`."""

    def leg_completed(self, error: str | None) -> None:
        """The one final outcome of `start_call`: None is success (the leg is CONNECTED), else an error text."""

    def leg_info(self, content_type: str, body: bytes) -> None:
        """INFO from the peer that is not a digit."""

    def leg_transferred(self) -> None:
        """The peer was replaced."""

    def leg_played(self, play: int) -> None:
        """See MediaListener.media_played."""

    def leg_recorded(self, record: int, cause: str, seconds: float) -> None:
        """See MediaListener.media_recorded."""

    def leg_unbridged(self) -> None:
        """The bridge with another leg ended because that leg ended or unbridged."""


class ProgramLeg(Protocol):
    """One call leg in the hands of a program. Refusals come back as short error texts, null (None) is success."""

    @property
    def mode(self) -> LegMode: ...

    @property
    def caller(self) -> Caller | None:
        """Who called, for an incoming leg."""

    @property
    def request(self) -> RequestData | None:
        """The INVITE of an incoming leg; stays readable for the life of the leg."""

    @property
    def remote_uri(self) -> str | None: ...

    @property
    def local_uri(self) -> str | None: ...

    def attach(self, listener: LegListener) -> None: ...

    async def accept(self) -> str | None:
        """Answer with 200; returns when the caller's ACK came or failed."""

    def reject(self, status: int, reason: str = "") -> None: ...

    async def provision(self, status: int = 180, *, media: bool = False, reason: str = "") -> str | None:
        """Send a provisional answer; with `media` open an early audio channel (183-style session description)."""

    def redirect(self, targets: Sequence[str]) -> None:
        """Hand the pending call over to these targets; the leg becomes DISCONNECTED for the program."""

    def fork(self, targets: Sequence[str]) -> None:
        """Ring these targets as well while the call is pending."""

    def start_call(self, uri: str, parameters: Mapping[str, str]) -> str | None:
        """Place a call through a Signal (DISCONNECTED legs only). Keys: From, To, Call-ID, Expires (ring limit, s)."""

    def cancel_call(self) -> None: ...

    def disconnect(self, status: int = 0, reason: str = "") -> None:
        """End the leg in whatever state: BYE, CANCEL, or a rejection."""

    def play(self, clip: Clip, *, seconds: float | None = None, offset: float = 0.0) -> int: ...

    def tone(self, frequency: float, seconds: float, second: float = 0.0) -> int: ...

    def stop(self) -> float: ...

    def record(self, path: Path, *, limit: float, silence: float = 0.0) -> int: ...

    def stop_record(self) -> None: ...

    def send_digit(self, digit: str, milliseconds: int = 100) -> None: ...

    def echo(self, on: bool) -> None: ...

    async def bridge(self, other: ProgramLeg) -> str | None:
        """Join two legs' audio (relay lane where codecs allow); a pending leg is answered first."""

    def unbridge(self) -> None:
        """End the bridge; both legs hear their own program again."""

    async def transfer(self, uri: str) -> str | None:
        """Blind transfer of the peer (REFER), or the same done by us."""

    async def send_info(self, content_type: str, body: bytes) -> str | None: ...


class Programs(Protocol):
    """Who runs programs."""

    def start(self, program: str, parameters: Sequence[str], account: Account, leg: ProgramLeg) -> None:
        """Start a Task at its main entry for an incoming leg. Raises Failure("not-found" | "invalid" | "full")."""


class Legs(Protocol):
    """Where programs get further legs from (spawned Tasks that place calls)."""

    def new_leg(self, account: Account, beside: ProgramLeg | None = None) -> ProgramLeg:
        """A DISCONNECTED leg acting for `account`. What the caller of the leg `beside` may not reach, it may not reach
        either: digits typed by an outside caller never lead out of this server (decision 4)."""
