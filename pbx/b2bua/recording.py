"""Whether a call is recorded, and how: by the rules of its parties, announced, and noted in its record.

Each party may want it: an account by its setting `RecordAlways`. As long as one of those who talk wants it, their call
is recorded, the caller's side on the left. Not here: the samples (`pbx.mediaproxy`), the files (`pbx.recordings`).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from base.failures import Failure
from base.log import get_logger
from directory.model import Account
from pbx.b2bua.leg import Leg
from pbx.b2bua.translations import TRANSLATED
from pbx.mediaproxy.engine import Clip, MediaTape
from pbx.recordings.library import name_of
from pbx.recordings.tables import Recording
from pbx.records.record import RECORDED, RECORDING_ENDED, RECORDING_REFUSED

if TYPE_CHECKING:
    from pbx.b2bua.call import Call

_log = get_logger("pbx.calls")


class Recordings(Protocol):
    """The part of `pbx.recordings.library.Library` that calls use."""

    async def begin(self, about: Recording, stop: Callable[[str], None]) -> Path: ...

    async def ended(self, name: str, seconds: float, cause: str) -> None: ...


class CallRecorder:
    """Of one call. Whoever joins its parties says so each time by `joined`, and `parted` at the end."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._sides: tuple[Leg, Leg] | None = None
        self._tape: MediaTape | None = None
        self._beginning = False
        self._made = 0

    def joined(self, near: Leg, far: Leg) -> None:
        """These two talk to each other from here on."""
        self._sides = (near, far)
        self.review()

    def parted(self) -> None:
        """Nobody talks any more."""
        self._sides = None
        self._stop()

    def review(self) -> None:
        """Somebody else is there, or wants something else."""
        sides = self._sides
        wants = None if sides is None else next((leg for leg in sides if wants_recording(leg)), None)
        if sides is None or wants is None:
            self._stop()
        elif self._tape is not None:
            self._tape.turn(*(leg.stream for leg in sides))
        elif not self._beginning:
            self._begin(sides, wants)

    def _stop(self) -> None:
        tape, self._tape = self._tape, None
        if tape is not None:
            tape.end()

    # --- the beginning

    def _begin(self, sides: tuple[Leg, Leg], wants: Leg) -> None:
        call, library = self._call, self._call.exchange.recordings
        if library is None:
            return
        try:
            announcement = _announcement(sides, wants)
        except Failure as failure:
            self._refused(failure)
            return
        self._beginning = True
        call.exchange.spawn(self._open(library, announcement), f"record {call.id}")

    async def _open(self, library: Recordings, announcement: Clip | None) -> None:
        about = self._about()
        try:
            path = await library.begin(about, self._cut)
        except Failure as failure:
            self._refused(failure)
            return
        finally:
            self._beginning = False
        if self._sides is None:  # it was a short call
            await library.ended(about.name, 0.0, "")
            return
        self._tape = self._call.exchange.media.tape(path, partial(self._ended, about))
        self._note(RECORDED, about.name)
        for leg in self._sides:
            if announcement is not None and leg.stream is not None:
                leg.stream.play(announcement)
        self.review()

    def _about(self) -> Recording:
        record, now = self._call.record, self._call.exchange.clock.wall()
        self._made += 1
        return Recording(
            name_of(record.id, now, self._made),
            record.id,
            now,
            record.caller,
            record.caller_account,
            record.callee,
            record.callee_account,
        )

    # --- the end

    def _cut(self, cause: str) -> None:
        """There is no room any more."""
        self._note(RECORDING_ENDED, cause)
        self._stop()

    def _ended(self, about: Recording, cause: str, seconds: float) -> None:
        """The file is closed."""
        library = self._call.exchange.recordings
        if cause in ("limit", "failed"):
            self._tape = None
            self._note(RECORDING_ENDED, cause)
        if library is not None:
            self._call.exchange.spawn(library.ended(about.name, seconds, cause), f"recorded {about.name}")

    def _refused(self, failure: Failure) -> None:
        _log.warning("call not recorded", call=self._call.id, cause=str(failure))
        self._note(RECORDING_REFUSED, failure.public)

    def _note(self, what: str, about: str) -> None:
        self._call.note(what, about)


def wants_recording(leg: Leg) -> bool:
    """Whether a party wants its calls recorded."""
    account = leg.person.account
    return account is not None and leg.exchange.people.setting(account.id, "RecordAlways") == "YES"


def _announcement(sides: tuple[Leg, Leg], wants: Leg) -> Clip | None:
    """What both are to hear first. Raises Failure when they cannot: who must be told is not recorded untold."""
    account: Account | None = wants.person.account
    people, exchange = wants.exchange.people, wants.exchange
    name = "" if account is None else str(people.setting(account.id, "RecordAnnounce") or "")
    if not name:
        return None
    clip = exchange.sound(name, account)
    if clip is None:
        raise Failure("not-found", f"there is no prompt {name} to announce it")
    if any(leg.codec not in TRANSLATED for leg in sides):
        raise Failure("invalid", "the announcement cannot be said in the codec of the call")
    return clip
