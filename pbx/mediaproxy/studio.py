"""The studio lane: at each beat of 20 ms it plays, echoes, mixes, sends digits, and records. RFC 3551, RFC 4733.

Sound that is only copied (clips, echo) stays G.711 octets; what must be understood (recordings, mixes) is decoded for
all streams at once (`hearing`). Not here: sockets, files and time; the worker drives it.
"""

from __future__ import annotations

import traceback
from collections import Counter
from collections.abc import Callable, Iterable
from functools import partial

import numpy as np

from pbx.mediaproxy import g711, protocol
from pbx.mediaproxy.cadence import Cadence
from pbx.mediaproxy.g711 import Law
from pbx.mediaproxy.hearing import Hearing
from pbx.mediaproxy.jitter import FRAME
from pbx.mediaproxy.recorder import BEAT, LONGEST, PIECE, Recorder, Tape
from pbx.mediaproxy.tone_watch import ToneWatch
from pbx.mediaproxy.track import Track

Tell = Callable[[protocol.Event], None]


class Studio:
    """All tracks of a worker."""

    def __init__(self, tell: Tell, counted: Counter[str]) -> None:
        self._tell = tell
        self._counted = counted
        self._tracks: dict[int, Track] = {}
        self._hearing = Hearing()
        self._recording: list[Track] = []
        self._tapes: dict[int, Tape[Track]] = {}
        self._mixed: list[Track] = []
        self._watched: list[Track] = []

    def add(self, track: Track) -> None:
        self._tracks[track.endpoint.number] = track

    def remove(self, number: int) -> None:
        track = self._tracks.pop(number, None)
        if track is None:
            return
        self.end_record(track, "stopped")
        self.watch(track, ())
        self.mix(track, ())
        for each in list(self._mixed):
            if track in each.sources:
                self.mix(each, tuple(source for source in each.sources if source is not track))
        for tape in self._tapes.values():
            if track in tape.sides:
                left, right = (None if side is track else side for side in tape.sides)
                self.tape(tape.number, left, right)

    # --- recordings

    def record(self, track: Track, number: int, limit: float, silence: float) -> None:
        """Begin to record; a recording in progress ends."""
        self.end_record(track, "stopped")
        beats = min(LONGEST, max(1, round(limit / BEAT)))
        track.recorder = Recorder(number, beats, round(silence / BEAT))
        self._recording.append(track)
        self._hearing.open(track)

    def end_record(self, track: Track, cause: str) -> None:
        recorder, track.recorder = track.recorder, None
        if recorder is not None:
            self._recording.remove(track)
            self._hearing.shut(track)
            self._tell(protocol.Sound(track.endpoint.number, recorder.number, recorder.hand_over(), cause))

    def tape(self, number: int, left: Track | None, right: Track | None) -> None:
        """Begin a tape, or change whom one in progress hears."""
        tape = self._tapes.get(number)
        before = (None, None) if tape is None else tape.sides
        for side in (left, right):
            if side is not None:
                self._hearing.open(side)
        for side in before:
            if side is not None:
                self._hearing.shut(side)
        if tape is None:
            self._tapes[number] = Tape(number, left, right)
        else:
            tape.sides = (left, right)

    def end_tape(self, number: int, cause: str) -> None:
        """One that never began is told to have ended, too."""
        self.tape(number, None, None)
        self._tell(protocol.Taped(number, self._tapes.pop(number).hand_over(), cause))

    # --- lines that know no hanging up

    def watch(self, track: Track, tones: tuple[Cadence, ...]) -> None:
        """Listen for these from here on; none: no more."""
        if tones == track.tones:
            return
        self._unwatch(track)
        track.tones = tones
        if tones:
            track.watch = ToneWatch(tones)
            self._watched.append(track)
            self._hearing.open(track)

    def _unwatch(self, track: Track) -> None:
        if track.watch is not None:
            track.watch = None
            self._watched.remove(track)
            self._hearing.shut(track)

    def _listen_for_tones(self) -> None:
        for track in list(self._watched):
            watch, heard = track.watch, track.heard
            if watch is None or heard is None:
                continue
            if watch.hear(heard.last if heard.arrived else None, self._hearing.level(track)):
                self._hung_up(track, watch.suspected)

    def _hung_up(self, track: Track, beats: int) -> None:
        """The tone is taken out of what is kept of it, and the call can end."""
        for tape in self._tapes.values():
            for side in (0, 1):
                if tape.sides[side] is track:
                    tape.mute(side, beats)
        if track.recorder is not None:
            track.recorder.cut(beats)
            self.end_record(track, "hung up")
        self._unwatch(track)
        self._tell(protocol.HungUp(track.endpoint.number))

    # --- mixes

    def mix(self, track: Track, sources: tuple[Track, ...]) -> None:
        """Send it the sum of what comes in on those, instead of what the relay brings; none: no more."""
        for source in sources:
            self._hearing.open(source)
        for source in track.sources:
            self._hearing.shut(source)
        if track.sources and not sources:
            self._mixed.remove(track)
        elif sources and not track.sources:
            self._mixed.append(track)
        track.mix(sources)

    # --- the beat

    def beat(self, now: float) -> None:
        """20 ms have passed."""
        self._hearing.begin()
        faulty = self._do(partial(self._beat_track, now=now), self._tracks.values())
        if self._hearing:
            self._hearing.decode()
            self._listen_for_tones()
            self._keep(now)
            faulty += self._do(self._send_mix, self._mixed)
        for track in faulty:  # not before: until then each has its row in `hearing`
            self.remove(track.endpoint.number)

    def _do(self, work: Callable[[Track], None], tracks: Iterable[Track]) -> list[Track]:
        """Returns those whose work has failed."""
        faulty = []
        for track in tracks:
            try:
                work(track)
            except Exception:  # one stream's fault must not cost the others their beat
                self._counted["media.worker_faults"] += 1
                traceback.print_exc()
                faulty.append(track)
        return faulty

    def _beat_track(self, track: Track, now: float) -> None:
        endpoint, track.at = track.endpoint, now
        if endpoint.keys.pressed and (digit := endpoint.keys.tick(now)) is not None:
            self._tell(protocol.Digit(endpoint.number, digit.key, digit.milliseconds))
        frame = endpoint.ear.pull()
        if track.heard is not None and frame is not None:
            self._hearing.take(track.heard, frame, endpoint.ear.law)
        self._outward(track, frame)

    def _outward(self, track: Track, frame: bytes | None) -> None:
        endpoint, player = track.endpoint, track.player
        law = endpoint.law_sent or Law.ULAW
        if player is not None:
            track.say(player.take(law))
            if player.ended:
                track.play(None)
                self._tell(protocol.Played(endpoint.number, player.number))
        elif track.sources:
            return  # when all have been heard
        elif endpoint.relay.peer is not None and not track.keys.busy:
            track.pause()
        elif track.echo and frame is not None:
            track.say(frame)
        else:
            track.say(bytes([law.silence]) * FRAME)

    def _keep(self, now: float) -> None:
        """One frame for each recording and each tape."""
        hearing = self._hearing
        for track in list(self._recording):
            recorder = track.recorder
            assert recorder is not None
            cause = recorder.take(hearing.sound(track), hearing.level(track))
            if cause:
                self.end_record(track, cause)
            elif len(recorder.pieces) - track.doubtful >= PIECE:
                sound = recorder.hand_over(track.doubtful)
                self._tell(protocol.Sound(track.endpoint.number, recorder.number, sound, ""))
        for tape in list(self._tapes.values()):
            left, right = tape.sides
            cause = tape.take(hearing.sound(left), hearing.sound(right), now)
            if cause:
                self.end_tape(tape.number, cause)
            elif len(tape.pieces) - (held := max(_doubtful(left), _doubtful(right))) >= PIECE:
                self._tell(protocol.Taped(tape.number, tape.hand_over(held), ""))

    def _send_mix(self, track: Track) -> None:
        if track.player is not None:
            return
        total = np.zeros(FRAME, dtype=np.int32)
        for source in track.sources:
            total += self._hearing.sound(source)
        sound = np.clip(total, -32768, 32767).astype(np.int16)
        track.say(g711.encode(sound, track.endpoint.law_sent or Law.ULAW))


def _doubtful(side: Track | None) -> int:
    return 0 if side is None else side.doubtful
