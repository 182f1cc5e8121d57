"""Whether two who talk are recorded, and how: by rule or by key, announced, and noted in the records of their calls.

Each party may want it: an account by its setting `RecordAlways`, the line of a provider for all calls by it, or an
account in the middle of the call where `RecordByKey` lets it. As long as one of those who talk wants it they are
recorded, the caller on the left. What a party has asked for goes with it when it is sent on. Not here: the samples
(`pbx.mediaproxy`), the files (`pbx.recordings`).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from base.failures import Failure
from base.log import get_logger
from directory.settings import default
from pbx.b2bua.leg import Leg
from pbx.b2bua.translations import HEARD, TRANSLATED
from pbx.mediaproxy.engine import Clip, MediaTape
from pbx.recordings.library import name_of
from pbx.recordings.tables import Recording
from pbx.records.record import RECORDED, RECORDING_ENDED, RECORDING_REFUSED

if TYPE_CHECKING:
    from pbx.b2bua.talk import Talk

_log = get_logger("pbx.calls")

_ANNOUNCE = "RecordAnnounce"
_SIGN = "recordingbeep"
"""The prompt that tells who has pressed the key that it was taken."""


class Recordings(Protocol):
    """The part of `pbx.recordings.library.Library` that calls use."""

    async def begin(self, about: Recording, stop: Callable[[str], None]) -> Path: ...

    async def ended(self, name: str, seconds: float, cause: str) -> None: ...


class CallRecorder:
    """Of one talk."""

    def __init__(self, talk: Talk) -> None:
        self._talk = talk
        self._exchange = talk.exchange
        self._tape: MediaTape | None = None
        self._name = ""  # of its file
        self._beginning = False

    def changed(self) -> None:
        """The two are others, or one of them wants something else."""
        sides = self._talk.sides
        wants = None if sides is None else _who_wants(sides)
        if sides is None or wants is None:
            self.over()
        elif self._tape is not None:
            self._tape.turn(*(leg.stream for leg in sides))
        elif not self._beginning:
            self._begin(sides, wants)

    def over(self) -> None:
        """No more of it."""
        tape, self._tape = self._tape, None
        if tape is not None:
            tape.end()

    def ask(self, leg: Leg, on: bool | None) -> int:
        """A party asks for it in the middle of the call (None: the other way round). The status as SIP tells it."""
        account, library = leg.person.account, self._exchange.recordings
        if account is None or library is None or self._setting(leg, "RecordByKey") != "YES":
            return 403
        going = self._tape is not None or self._beginning
        leg.wants_recording = not going if on is None else on
        if leg.wants_recording is going:
            return 200
        self.changed()
        if not (leg.wants_recording and self._setting(leg, _ANNOUNCE)):
            self._say(self._exchange.sound(_SIGN, account), leg)
        return 200

    @staticmethod
    def _setting(leg: Leg, key: str) -> str:
        account = leg.person.account
        return "" if account is None else str(leg.exchange.people.setting(account.id, key) or "")

    # --- the beginning

    def _begin(self, sides: tuple[Leg, Leg], wants: Leg) -> None:
        library = self._exchange.recordings
        if library is None or not self._talk.calls:
            return
        try:
            if any(leg.codec not in HEARD for leg in sides):
                raise Failure("invalid", "we do not understand the codec of the call")
            announcement = self._announcement(sides, wants)
        except Failure as failure:
            self._refused(failure)
            return
        self._beginning = True
        self._exchange.spawn(self._open(library, self._about(), announcement), "record a call")

    def _announcement(self, sides: tuple[Leg, Leg], wants: Leg) -> Clip | None:
        """What both are to hear first. Raises Failure when they cannot: who must be told is not recorded untold."""
        if _for_help(sides):
            return None
        account = next((leg.person.account for leg in (wants, *sides) if leg.person.account is not None), None)
        said = default(_ANNOUNCE) if account is None else self._exchange.people.setting(account.id, _ANNOUNCE)
        if not (name := str(said or "")):
            return None
        clip = self._exchange.sound(name, account)
        if clip is None:
            raise Failure("not-found", f"there is no prompt {name} to announce it")
        if any(leg.codec not in TRANSLATED for leg in sides):
            raise Failure("invalid", "the announcement cannot be said in the codec of the call")
        return clip

    def _about(self) -> Recording:
        call, now = self._talk.calls[0], self._exchange.clock.wall()
        call.tapes += 1
        record, name = call.record, name_of(call.id, now, call.tapes)
        caller, callee = (record.caller, record.caller_account), (record.callee, record.callee_account)
        return Recording(name, record.id, now, *caller, *callee)

    async def _open(self, library: Recordings, about: Recording, announcement: Clip | None) -> None:
        try:
            path = await library.begin(about, self._cut)
        except Failure as failure:
            self._refused(failure)
            return
        finally:
            self._beginning = False
        sides = self._talk.sides
        if sides is None or _who_wants(sides) is None:  # it was a short call
            await library.ended(about.name, 0.0, "")
            return
        self._name = about.name
        self._tape = self._exchange.media.tape(path, partial(self._ended, library, about))
        self._talk.note(RECORDED, about.name)
        for leg in sides:
            self._say(announcement, leg)
        self.changed()

    @staticmethod
    def _say(clip: Clip | None, leg: Leg) -> None:
        if clip is not None and leg.stream is not None:
            leg.stream.play(clip)

    # --- the end

    def _cut(self, cause: str) -> None:
        """There is no room any more."""
        if self._tape is not None:
            self._talk.note(RECORDING_ENDED, cause)
            self.over()

    def _ended(self, library: Recordings, about: Recording, cause: str, seconds: float) -> None:
        """The file is closed."""
        if cause in ("limit", "failed"):
            if self._name == about.name:  # a slow disk may tell it when there is another one
                self._tape = None
            self._talk.note(RECORDING_ENDED, cause)
        self._exchange.spawn(library.ended(about.name, seconds, cause), f"recorded {about.name}")

    def _refused(self, failure: Failure) -> None:
        _log.warning("call not recorded", call=self._talk.calls[0].id, cause=str(failure))
        self._talk.note(RECORDING_REFUSED, failure.public)


def _for_help(sides: tuple[Leg, Leg]) -> bool:
    return any(leg.exempt for leg in sides)


def _who_wants(sides: tuple[Leg, Leg]) -> Leg | None:
    """The party that wants their call recorded: as it has asked for, else by the rule of its trunk or account. A call
    for help is under no rule, and nothing delays it."""
    by_rule = not _for_help(sides)
    for leg in sides:
        if leg.wants_recording or (leg.wants_recording is None and by_rule and _rule(leg)):
            return leg
    return None


def _rule(leg: Leg) -> bool:
    if leg.line is not None and leg.line.trunk.recording == "always":
        return True
    account = leg.person.account
    return account is not None and leg.exchange.people.setting(account.id, "RecordAlways") == "YES"
