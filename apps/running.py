"""One running Task as its verbs see it: the account it acts for, its leg, what has come in, what is bridged.

Not here: the program itself (`cgpl`) and the loop that steps it (`apps.stepping`). It is the leg's listener, and holds
the waiting that all verbs share. Source: CommuniGate PBXApp.html.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from apps import inputs
from apps.inputs import Inputs
from apps.ports import People
from apps.services import Services
from apps.spool import SpoolNote
from base.failures import Failure
from base.log import Logger
from base.values.kinds import Dictionary, Handle, Value
from directory.model import Account, Caller
from pbx.mediaproxy.engine import Clip
from pbx.programs import LegMode, ProgramLeg

# Limit: recordings of one Task that wait to be sent.
MAX_RECORDINGS = 20
# Limit: sounds from memory that one Task keeps laid out as files.
MAX_CLIPS = 20


class TaskHandle(Handle):
    """What a program holds of a Task."""

    __slots__ = ("number", "task")

    class_name = "STTask"

    def __init__(self, number: str) -> None:
        self.number = number
        self.task: RunningTask | None = None

    def describe(self) -> str:
        return self.number


class Tasks(Protocol):
    """Who starts Tasks: the host."""

    def spawn(self, parent: RunningTask, program: object, entry: str, parameter: Value) -> TaskHandle | None: ...


@dataclass(slots=True, eq=False)
class BridgeOffer:
    """A StartBridge that waits for the other Task's word."""

    target: RunningTask
    answered: bool = False
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Recorded:
    """A finished recording: its content's hash finds it when the program sends that content."""

    digest: bytes
    note: SpoolNote


@dataclass(slots=True)
class Options:
    """What a program may switch."""

    interrupt_on_digit: bool = True
    keep_recordings: bool = False
    record_silence: float = 0.0
    signal: dict[str, str] = field(default_factory=dict)


class RunningTask:
    """A Task. Verbs are functions over it (`apps.verbs`); the host makes and ends it."""

    def __init__(
        self,
        services: Services,
        tasks: Tasks,
        *,
        number: str,
        program: str,
        account: Account,
        leg: ProgramLeg,
        log: Logger,
    ) -> None:
        self.services = services
        self.tasks = tasks
        self.program = program
        self.home = account
        self.account = account
        self.language = str(services.people.setting(account.id, "Language") or "")
        self.leg = leg
        self.handle = TaskHandle(number)
        self.handle.task = self
        self.log_to = log
        self.inputs = Inputs()
        self.options = Options(keep_recordings=program == "voicemail")
        self.status: Value = None
        self.ended = False
        self.waited = False
        self.bridged_with: RunningTask | None = None
        self.offer: BridgeOffer | None = None
        self.recordings: list[Recorded] = []
        self.owed: set[str] = set()  # Spool ids of messages that delivery refused for now.
        self.position = 0.0
        self.completed = True
        self.next_offset = 0.0
        self.calling = False
        self.on_end: Callable[[], None] = lambda: None
        self.on_hangup: Callable[[], None] | None = None
        self._changed = asyncio.Event()
        self._played = 0
        self._recorded: tuple[int, str, float] | None = None
        self._clips: list[Clip] = []
        leg.attach(self)

    # ---- the host of the language ----------------------------------------------------------------------------------

    def wall(self) -> float:
        return self.services.clock.wall()

    def octets(self, count: int) -> bytes:
        return self.services.entropy.octets(count)

    def log(self, text: str) -> None:
        self.log_to.info("said", text=text[:1000])

    # ---- where it stands -------------------------------------------------------------------------------------------

    @property
    def people(self) -> People:
        return self.services.people

    @property
    def caller(self) -> Caller | None:
        return self.leg.caller

    @property
    def audible(self) -> bool:
        """Whether the leg has a media channel of its own just now."""
        return self.leg.mode in (LegMode.CONNECTED, LegMode.PROVISIONED) and self.bridged_with is None

    @property
    def interrupted(self) -> bool:
        """Whether playing and recording are suppressed or cut (PBXApp.html, "Playing and Recording")."""
        digits = self.options.interrupt_on_digit and bool(self.inputs.digits)
        return digits or self.inputs.events > 0 or not self.audible

    # ---- waiting ---------------------------------------------------------------------------------------------------

    def changed(self) -> None:
        """Something happened that a verb may wait for."""
        self._changed.set()

    async def until(self, reached: Callable[[], bool], seconds: float | None = None) -> bool:
        """Wait till `reached` holds; False when the time is up."""
        try:
            async with asyncio.timeout(seconds):
                while not reached():
                    self.waited = True
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            return reached()
        return True

    # ---- playing and recording ---------------------------------------------------------------------------------------

    async def play(self, start: Callable[[float], int]) -> None:
        """Have the leg play, `start(offset)` saying what, till it is through or cut."""
        offset, self.next_offset = self.next_offset, 0.0
        self.position, self.completed = 0.0, False
        if self.interrupted:
            return
        play = start(offset)
        await self.until(lambda: self._played == play or self.interrupted)
        self.completed = self._played == play
        if not self.completed:
            self.position = self.leg.stop()

    async def clip(self, sound: bytes) -> Clip:
        """A sound from memory as a clip; laid out till the Task ends."""
        clip = await self.services.clips.lay(sound)
        self._clips.append(clip)
        if len(self._clips) > MAX_CLIPS:
            await self.services.clips.release(self._clips.pop(0))
        return clip

    async def record(self, seconds: float) -> bytes | str | None:
        """Record till a digit, an event, the limit, or silence. The WAV; None if suppressed; text when it failed."""
        if self.interrupted or seconds <= 0:
            return None
        try:
            note = await self._note()
            sound = await self._recording(note, seconds)
        except Failure as failure:
            self.services.metrics.count("apps.recordings.failed")
            self.log_to.warning("recording_failed", reason=str(failure))
            return "DISK_FULL" if failure.code == "full" else "RECORDING_FAILED"
        await self._keep(note, sound)
        return sound

    async def _note(self) -> SpoolNote:
        caller = self.caller
        return await self.services.spool.begin(
            task=self.handle.number,
            account=self.account.id,
            caller_uri=caller.uri if caller else self.leg.remote_uri or "",
            caller_name=caller.name if caller else "",
            started=self.wall(),
            deliver=self.options.keep_recordings,
        )

    async def _recording(self, note: SpoolNote, seconds: float) -> bytes | None:
        spool = self.services.spool
        number = self.leg.record(spool.path(note), limit=seconds, silence=self.options.record_silence)
        await self.until(lambda: self._ended_recording(number) or self.interrupted)
        if not self._ended_recording(number):
            self.leg.stop_record()
            await self.until(lambda: self._ended_recording(number), 5.0)
        if self._recorded is not None and self._recorded[:2] == (number, "failed"):
            await spool.discard(note)
            raise Failure("full", "the recording could not be written")
        return await spool.read(note)

    def _ended_recording(self, number: int) -> bool:
        return self._recorded is not None and self._recorded[0] == number

    async def _keep(self, note: SpoolNote, sound: bytes | None) -> None:
        """The newest recording of a message takes the place of the older ones; the others are not for delivery."""
        if sound is None:
            await self.services.spool.discard(note)
            return
        for old in self.recordings:
            await self.services.spool.discard(old.note)
        self.recordings = [Recorded(hashlib.sha256(sound).digest(), note)]

    def recorded(self, sound: bytes) -> Recorded | None:
        """The recording with this content, if this Task made it."""
        digest = hashlib.sha256(sound).digest()
        return next((each for each in self.recordings if each.digest == digest), None)

    async def release(self) -> None:
        """The Task has ended: give back what it held. Recordings are the host's care."""
        clips, self._clips = self._clips, []
        for clip in clips:
            await self.services.clips.release(clip)

    # ---- LegListener -------------------------------------------------------------------------------------------------

    def leg_digit(self, digit: str) -> None:
        if not self.inputs.put_digit(digit):
            self.services.metrics.count("apps.digits.dropped")
        self.changed()

    def leg_disconnected(self) -> None:
        self.calling = False
        self.bridged_with = None
        self.inputs.put_event(inputs.DISCONNECT, always=True)
        self.changed()
        if self.on_hangup is not None:
            self.on_hangup()

    def leg_provisioned(self, status: int) -> None:
        self.event(inputs.PROVISION, parameter=status)

    def leg_completed(self, error: str | None) -> None:
        self.calling = False
        self.inputs.put_event(inputs.COMPLETED, parameter=error, always=True)
        self.changed()

    def leg_info(self, content_type: str, body: bytes) -> None:
        kind, _, subtype = content_type.partition(";")[0].strip().partition("/")
        text = body.decode("utf-8", "surrogateescape")
        self.event(
            inputs.INFO, parameter=Dictionary([("Content-Type", kind), ("Content-Subtype", subtype), ("", text)])
        )

    def leg_transferred(self) -> None:
        if self.options.signal.get("transferReport", "NO").upper() == "YES":
            self.event(inputs.TRANSFERRED)

    def leg_played(self, play: int) -> None:
        self._played = play
        self.changed()

    def leg_recorded(self, record: int, cause: str, seconds: float) -> None:
        self._recorded = (record, cause, seconds)
        self.changed()

    def leg_unbridged(self) -> None:
        other, self.bridged_with = self.bridged_with, None
        if other is not None:
            self.inputs.put_event(inputs.BREAK_BRIDGE, other.handle, always=True)
            self.changed()

    # ---- events ------------------------------------------------------------------------------------------------------

    def event(self, what: str, sender: Value = None, parameter: Value = None) -> bool:
        """Queue an event; False when the queue is full or the Task has ended."""
        if self.ended:
            return False
        if not self.inputs.put_event(what, sender, parameter):
            self.services.metrics.count("apps.events.dropped")
            return False
        self.changed()
        return True
