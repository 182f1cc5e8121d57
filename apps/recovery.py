"""Recordings that a killed server or a failed program left behind become voice messages, each exactly once.

Not here: recording. A server may be killed between delivery and the removal of the recording: delivery knows the queue
id then and adds nothing.
"""

from __future__ import annotations

from collections.abc import Iterable

from apps.ports import People, Wave
from apps.spool import Spool, SpoolNote
from apps.submission import VoicePost
from base.failures import Failure
from base.log import get_logger
from base.metrics import Metrics

_log = get_logger("apps.recovery")

# Shorter left-overs are hang-ups, not messages.
SHORTEST = 1.0


class Recovery:
    """Goes through the spool."""

    def __init__(self, spool: Spool, wave: Wave, people: People, post: VoicePost, metrics: Metrics) -> None:
        self._spool = spool
        self._wave = wave
        self._people = people
        self._post = post
        self._metrics = metrics

    async def run(self) -> int:
        """Deliver or discard every left-over; returns how many were delivered."""
        delivered = 0
        notes = await self._spool.leftovers()
        keep = {note.id for note in latest(notes)}
        for note in notes:
            if note.id in keep:
                delivered += await self.deliver(note)
            else:
                await self._spool.discard(note)
        return delivered

    async def deliver(self, note: SpoolNote) -> bool:
        """Send one recording, if it is a message that is long enough and its account is still there."""
        account = self._people.account(note.account)
        seconds = await self._spool.mend(note, self._wave)
        if not note.deliver or account is None or seconds < SHORTEST:
            await self._spool.discard(note)
            return False
        try:
            sound = await self._spool.read(note)
            if sound is not None:
                await self._post.send(note, sound, account, seconds)
        except Failure as failure:
            # It stays for the next start.
            _log.error("recording_not_delivered", spool=note.id, account=account.address, reason=str(failure))
            return False
        self._metrics.count("apps.recordings.recovered")
        _log.info("recording_recovered", spool=note.id, account=account.address, seconds=round(seconds, 1))
        return True


def latest(notes: Iterable[SpoolNote]) -> list[SpoolNote]:
    """Of each Task the newest recording: who records anew takes back what he said before."""
    newest: dict[str, SpoolNote] = {}
    for note in notes:
        if note.task not in newest or note.started >= newest[note.task].started:
            newest[note.task] = note
    return list(newest.values())
