"""A stage for programs: the real host, directory, mail store and delivery, in virtual time; callers and legs by hand.

A play is a coroutine; what a caller hears and does becomes a transcript, one line for each.
"""

from __future__ import annotations

import asyncio
import io
import tempfile
import wave
from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from apps.clips import Clips
from apps.environment import Environment, stock_environment
from apps.files import AccountFiles
from apps.host import ApplicationHost
from apps.letters import StoredLetters
from apps.services import Services
from apps.spool import Spool
from base.clock import Clock, Timer
from base.entropy import SeededEntropy
from base.metrics import Metrics
from base.storage.inline import InlineDatabases
from base.work import run_at_once
from directory.directory import Directory
from directory.model import Account, Caller
from mail.delivery import Delivery
from mail.store import MailStore
from pbx.mediaproxy.engine import Clip
from pbx.programs import LegListener, LegMode, ProgramLeg, RequestData
from pbx.records.log import LogEntry
from tests.directory.fixtures import DOMAIN, demo_directory
from tests.simulation.virtual import simulate

EPOCH = 1_700_000_000.0  # Tuesday 2023-11-14 22:13:20 GMT


class StageClock:
    """The virtual loop's time."""

    def now(self) -> float:
        return asyncio.get_running_loop().time()

    def wall(self) -> float:
        return EPOCH + self.now()

    def call_later(self, delay: float, callback: Any) -> Timer:
        return asyncio.get_running_loop().call_later(delay, callback)


def tone_file(seconds: float) -> bytes:
    """A WAV file of that length."""
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(b"\x10\x20" * round(seconds * 8000))
    return out.getvalue()


class StageLeg:
    """A leg whose other end is the test. `heard` is the transcript."""

    def __init__(self, stage: Stage, caller: Caller | None, called: str, name: str) -> None:
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


class Stage:
    """The server's part of a play."""

    def __init__(self, folder: Path, directory: Directory, databases: InlineDatabases) -> None:
        clock: Clock = StageClock()
        self.folder = folder
        self.directory = directory
        self.metrics = Metrics()
        self.calls: list[StageLeg] = []
        self.called = asyncio.Event()
        self.past: list[LogEntry] = []
        self._entropy = SeededEntropy(5)
        self.store = MailStore(databases, clock, self.metrics)
        self.delivery = Delivery(self.store, directory, clock, self._entropy, self.metrics)
        self.environment: Environment = stock_environment(folder / "environment")
        self.services = Services(
            environment=self.environment,
            people=directory,
            letters=StoredLetters(self.store),
            post=self.delivery,
            legs=self,
            clock=clock,
            entropy=self._entropy,
            metrics=self.metrics,
            spool=Spool(folder / "spool", self._entropy, run_at_once),
            clips=Clips(folder / "clips", run_at_once),
            files=AccountFiles(folder / "files", run_at_once),
            calls=self,
        )
        self.host = ApplicationHost(self.services)

    def account(self, name: str) -> Account:
        account = self.directory.find_account(DOMAIN, name)
        assert account is not None
        return account

    async def log(self, account: int, limit: int) -> list[LogEntry]:
        """`calls.CallLog`: what a play has put there."""
        return [entry for entry in self.past if entry.account == account][:limit]

    def new_leg(self, account: Account, beside: ProgramLeg | None = None) -> ProgramLeg:
        return StageLeg(self, None, "", f"leg {len(self.calls) + 1}")

    def call(
        self, program: str, account: str, caller: str = "", *, called: str = "", parameters: Sequence[str] = ()
    ) -> StageLeg:
        """A call to a program; `caller` is an account that proved itself, or somebody outside."""
        if caller:
            person = self.account(caller)
            who = Caller(f"sip:{caller}@{DOMAIN}", person.real_name, person, source=("127.0.0.1", 5060))
        else:
            who = Caller("sip:+15551234@outside.example", "Eve", None, source=("192.0.2.1", 5060))
        leg = StageLeg(self, who, called or account, "caller")
        self.host.start(program, parameters, self.account(account), leg)
        return leg

    async def next_call(self) -> StageLeg:
        """The next call that a program places."""
        async with asyncio.timeout(60):
            while not self.calls:
                self.called.clear()
                await self.called.wait()
        return self.calls.pop(0)

    def program(self, name: str, source: str) -> None:
        """Install a program of the server's own."""
        self.environment.put(name, source.encode())

    async def inbox(self, name: str, mailbox: str = "INBOX") -> list[tuple[set[str], bytes]]:
        """Flags and octets of each message."""
        account = self.account(name)
        messages = await self.store.messages(account.id, mailbox)
        return [(set(m.flags), await self.store.octets(account.id, m)) for m in messages]

    async def lamp(self, name: str) -> tuple[int, int]:
        return await self.store.voice_counts(self.account(name).id)


@asynccontextmanager
async def stage(folder: Path) -> AsyncIterator[Stage]:
    databases = InlineDatabases()
    try:
        async with demo_directory() as directory:
            made = Stage(folder, directory, databases)
            yield made
            await made.host.close()
            await made.store.close()
    finally:
        databases.discard()


def perform(play: Any) -> None:
    """Run `async def play(stage)` in virtual time."""

    async def whole() -> None:
        with tempfile.TemporaryDirectory() as folder:
            async with stage(Path(folder)) as made:
                scene: Coroutine[Any, Any, None] = play(made)
                await scene

    simulate(whole())


__all__ = ["DOMAIN", "Stage", "StageLeg", "perform", "tone_file"]
