"""What a program does with the sound of its leg: playing, recording, tones, digits, and how news comes back to it.

Who calls whom is `program_leg`'s business. Spec: cgpl-builtins §13.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pbx.b2bua.exchange import Exchange
from pbx.b2bua.leg import Leg
from pbx.mediaproxy.engine import Clip, MediaStream
from pbx.programs import LegListener, LegMode


class LegAudio:
    """The part of a program's leg that needs only its mode and its party."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._listener: LegListener | None = None
        self._mode = LegMode.DISCONNECTED
        self._party: Leg | None = None
        self._plays = 0
        self._echoes = False

    def attach(self, listener: LegListener) -> None:
        self._listener = listener

    def _tell(self, news: Callable[[LegListener], None]) -> None:
        """News goes out when the present operation is done."""

        def later() -> None:
            if self._listener is not None:
                news(self._listener)

        self._exchange.clock.call_later(0.0, later)

    @property
    def stream(self) -> MediaStream | None:
        """The stream, when there is an audio channel with the party."""
        return None if self._party is None or self._mode is LegMode.INCOMING else self._party.stream

    def _turn_to(self, newcomer: Leg) -> None:
        """Another party from here on: what is played to the one before ends, an echo goes on."""
        if (stream := self.stream) is not None:
            stream.disconnect()
            stream.stop()
        self._party = newcomer
        if self._echoes:
            self.echo(True)

    def play(self, clip: Clip, *, seconds: float | None = None, offset: float = 0.0) -> int:
        stream = self.stream
        return self._suppressed() if stream is None else stream.play(clip, seconds=seconds, offset=offset)

    def tone(self, frequency: float, seconds: float, second: float = 0.0) -> int:
        stream = self.stream
        return self._suppressed() if stream is None else stream.tone(frequency, seconds, second)

    def _suppressed(self) -> int:
        """No audio channel: the play is over at once. Its number is negative, so that it is no stream's."""
        self._plays -= 1
        number = self._plays
        self._tell(lambda listener: listener.leg_played(number))
        return number

    def stop(self) -> float:
        stream = self.stream
        return 0.0 if stream is None else stream.stop()

    def record(self, path: Path, *, limit: float, silence: float = 0.0) -> int:
        stream = self.stream
        if stream is not None:
            return stream.record(path, limit=limit, silence=silence)
        self._plays -= 1
        number = self._plays
        self._tell(lambda listener: listener.leg_recorded(number, "failed", 0.0))
        return number

    def stop_record(self) -> None:
        if self.stream is not None:
            self.stream.stop_record()

    def send_digit(self, digit: str, milliseconds: int = 100) -> None:
        if self.stream is not None:
            self.stream.send_digit(digit, milliseconds)

    def echo(self, on: bool) -> None:
        self._echoes = on
        if self.stream is not None:
            self.stream.echo(on)
