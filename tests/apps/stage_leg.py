"""A leg of a program whose other end is a test: what its party hears and does becomes a transcript, a line for each.

Not here: the server around it (`stage`).
"""

from __future__ import annotations

import asyncio
import io
import wave
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from directory.model import Caller
from pbx.mediaproxy.engine import Clip
from pbx.programs import LegListener, LegMode, ProgramLeg, RequestData
from tests.directory.fixtures import DOMAIN


def tone_file(seconds: float) -> bytes:
    """A WAV file of that length."""
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(b"\x10\x20" * round(seconds * 8000))
    return out.getvalue()


class Board(Protocol):
    """Who is told that a program calls somebody."""

    calls: list[StageLeg]
    called: asyncio.Event


class StageLeg:
    """A leg whose other end is the test. `heard` is the transcript."""

    def __init__(self, stage: Board, caller: Caller | None, called: str, name: str) -> None:
        self.stage = stage
        self.name = name
        self._caller = caller
        self._mode = LegMode.INCOMING if caller is not None else LegMode.DISCONNECTED
        self._listener: LegListener | None = None
        self._number = 0
        self._timer: asyncio.TimerHandle | None = None
        self._playing: tuple[int, float] | None = None
        self._recording: tuple[int, Path, float] | None = None
        self.heard: list[str] = []
        self.news = asyncio.Event()
        self.bridged: StageLeg | None = None
        self.called = called
        self.started: tuple[str, Mapping[str, str]] | None = None
        self.full_disk = False

    # what the test does

    def press(self, digits: str) -> None:
        for digit in digits:
            self.say(f"> {digit}")
            if self._listener is not None:
                self._listener.leg_digit(digit)

    def hang_up(self) -> None:
        self.say("> hangs up")
        self._gone()

    async def hears(self, prompt: str, seconds: float = 120.0) -> None:
        """Wait till that prompt begins, looking only at what comes after the last one found."""
        await self.told(f"< {prompt}", seconds)

    async def told(self, line: str, seconds: float = 120.0) -> None:
        async with asyncio.timeout(seconds):
            while line not in self.heard[self._seen :]:
                self.news.clear()
                await self.news.wait()
        self._seen += self.heard[self._seen :].index(line) + 1

    async def ended(self, seconds: float = 900.0) -> None:
        await self.told("= over", seconds)

    _seen = 0

    def say(self, line: str) -> None:
        self.heard.append(line)
        self.news.set()

    @property
    def transcript(self) -> str:
        return "\n".join(self.heard)

    def answered(self) -> None:
        """The callee of start_call answers."""
        self._mode = LegMode.CONNECTED
        assert self._listener is not None
        self._listener.leg_completed(None)

    def refused(self, error: str) -> None:
        assert self._listener is not None
        self._listener.leg_completed(error)

    def rings(self) -> None:
        assert self._listener is not None
        self._listener.leg_provisioned(180)

    # ProgramLeg

    @property
    def mode(self) -> LegMode:
        return self._mode

    @property
    def caller(self) -> Caller | None:
        return self._caller

    @property
    def request(self) -> RequestData | None:
        if self._caller is None:
            return None
        uri = f"sip:{self.called}@{DOMAIN}"
        headers = {"User-Agent": ("Desk/1.0",), "X-Trunk": ("a", "b"), "Max-Forwards": ("69",)}
        return RequestData("call-1", uri, self._caller.uri, self._caller.name, uri, headers)

    @property
    def remote_uri(self) -> str | None:
        return self._caller.uri if self._caller is not None else self.called or None

    @property
    def local_uri(self) -> str | None:
        return f"sip:{self.called}@{DOMAIN}"

    def attach(self, listener: LegListener) -> None:
        self._listener = listener

    async def accept(self) -> str | None:
        await asyncio.sleep(0.05)
        if self._mode is LegMode.DISCONNECTED:
            return "CANCELLED"
        self._mode = LegMode.CONNECTED
        self.say("= answered")
        return None

    def reject(self, status: int, reason: str = "") -> None:
        self.say(f"= rejected {status}")
        self._over()

    async def provision(self, status: int = 180, *, media: bool = False, reason: str = "") -> str | None:
        self._mode = LegMode.PROVISIONED if media else self._mode
        self.say(f"= {status}")
        return None

    def redirect(self, targets: Sequence[str]) -> None:
        self.say(f"= redirected to {' '.join(targets)}")
        self._over()

    def fork(self, targets: Sequence[str]) -> None:
        self.say(f"= forked to {' '.join(targets)}")

    def start_call(self, uri: str, parameters: Mapping[str, str]) -> str | None:
        self.started, self.called = (uri, parameters), uri
        self.stage.calls.append(self)
        self.stage.called.set()
        self.say(f"= calls {uri}")
        return None

    def cancel_call(self) -> None:
        self.say("= cancels")

    def disconnect(self, status: int = 0, reason: str = "") -> None:
        self._over()

    def play(self, clip: Clip, *, seconds: float | None = None, offset: float = 0.0) -> int:
        assert clip.path.exists()
        with wave.open(str(clip.path)) as file:
            length = file.getnframes() / file.getframerate()
        name = clip.path.stem if len(clip.path.stem) < 40 else f"<{length:.1f} s>"
        self.say(f"< {name}")
        duration = length - offset if seconds is None else seconds
        return self._start(duration if duration >= 0 else 1e6)

    def tone(self, frequency: float, seconds: float, second: float = 0.0) -> int:
        self.say(f"< tone {frequency:.0f}")
        return self._start(seconds)

    def _start(self, seconds: float) -> int:
        self._cut()
        self._number += 1
        number = self._number
        loop = asyncio.get_running_loop()
        self._playing = (number, loop.time())
        self._timer = loop.call_later(seconds, self._played, number)
        return number

    def _played(self, number: int) -> None:
        self._playing = None
        if self._listener is not None:
            self._listener.leg_played(number)

    def _cut(self) -> float:
        if self._timer is not None:
            self._timer.cancel()
        playing, self._playing = self._playing, None
        return asyncio.get_running_loop().time() - playing[1] if playing else 0.0

    def stop(self) -> float:
        return self._cut()

    def record(self, path: Path, *, limit: float, silence: float = 0.0) -> int:
        self._number += 1
        loop = asyncio.get_running_loop()
        self._recording = (self._number, path, loop.time())
        self.say("= records")
        if self.full_disk:
            loop.call_later(1.0, self._recorded, "failed")
        else:
            path.write_bytes(tone_file(0))
            self._timer = loop.call_later(limit, self._recorded, "limit")
        return self._number

    def falls_silent(self) -> None:
        self._recorded("silence")

    def stop_record(self) -> None:
        self._recorded("stopped")

    def _recorded(self, cause: str) -> None:
        if self._recording is None:
            return
        (number, path, start), self._recording = self._recording, None
        seconds = asyncio.get_running_loop().time() - start
        if self._timer is not None:
            self._timer.cancel()
        if cause != "failed":
            path.write_bytes(tone_file(seconds))
        self.say(f"= recorded {seconds:.1f} s, {cause}")
        if self._listener is not None:
            asyncio.get_running_loop().call_soon(self._listener.leg_recorded, number, cause, seconds)

    def send_digit(self, digit: str, milliseconds: int = 100) -> None:
        self.say(f"< digit {digit}")

    def echo(self, on: bool) -> None: ...

    async def bridge(self, other: ProgramLeg) -> str | None:
        assert isinstance(other, StageLeg)
        for leg in (self, other):
            if leg._mode in (LegMode.INCOMING, LegMode.PROVISIONED):
                await leg.accept()
        self._cut()
        other._cut()
        self.bridged, other.bridged = other, self
        self.say(f"= bridged with {other.name}")
        other.say(f"= bridged with {self.name}")
        return None

    def unbridge(self) -> None:
        other, self.bridged = self.bridged, None
        if other is not None:
            other.bridged = None
            if other._listener is not None:
                asyncio.get_running_loop().call_soon(other._listener.leg_unbridged)

    async def transfer(self, uri: str) -> str | None:
        self.say(f"= transferred to {uri}")
        return None

    async def send_info(self, content_type: str, body: bytes) -> str | None:
        self.say(f"= info {content_type} {body!r}")
        return None

    def _gone(self) -> None:
        if self._mode is LegMode.DISCONNECTED:
            return
        self._mode = LegMode.DISCONNECTED
        self._cut()
        self._recorded("stopped")
        self.unbridge()
        if self._listener is not None:
            self._listener.leg_disconnected()

    def _over(self) -> None:
        """Our side ends the leg."""
        if self._mode is not LegMode.DISCONNECTED or self.started is not None:
            self._mode = LegMode.DISCONNECTED
            self._cut()
            self._recorded("stopped")
            self.unbridge()
            self.say("= over")
