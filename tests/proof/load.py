"""A server under load while others talk: SIPp is both telephones of the load, and what the server had of the machine is
noted all the while, so that what other programs take is not counted as its own.

It measures; what is enough is said by the proofs.
"""

from __future__ import annotations

import bisect
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType

from bench import process, sipp
from bench.phones import Telephones
from bench.sipp import Sipp
from bench.site import Site
from tests.proof.talking import Heard, Talking

HOST, PHONES = "127.0.83.1", "127.0.83.2"


class Meter:
    """Notes 20 times a second what a process has had of the processors."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._notes: list[tuple[float, float, float]] = []
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._note, daemon=True)

    def __enter__(self) -> Meter:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._ended.set()
        self._thread.join(5)

    def between(self, first: float, last: float) -> tuple[float, float]:
        """Seconds that it worked, and that it waited while others had the processors, between two moments of time."""
        (_, worked, waited), (_, later_worked, later_waited) = self._at(first), self._at(last)
        return later_worked - worked, later_waited - waited

    def _note(self) -> None:
        while not self._ended.wait(0.05):
            self._notes.append((time.time(), process.cpu(self._pid), process.waited(self._pid)))

    def _at(self, moment: float) -> tuple[float, float, float]:
        return self._notes[min(bisect.bisect_left(self._notes, (moment,)), len(self._notes) - 1)]


@dataclass(frozen=True, slots=True)
class Window:
    """While calls were being begun: how many a second were begun, completed and refused, the shares of that time in
    which the server worked and in which it waited for a processor, and how the audio of others fared."""

    begun: float
    completed: float
    refused: float
    worked: float
    waited: float
    heard: Heard

    @property
    def capacity(self) -> float:
        """Calls for each second of work; of use where none is refused."""
        return self.completed / self.worked

    @property
    def given(self) -> float:
        """The share of the time that it could have had."""
        return max(0.05, 1.0 - self.waited)

    def __str__(self) -> str:
        heard = self.heard
        return (
            f"{self.begun:.0f}/s begun, {self.completed:.0f}/s completed, {self.refused:.0f}/s heard 503; server at "
            f"work {self.worked:.0%}, waiting {self.waited:.0%}; RTP: {heard.lost} of {heard.sent} lost, on the way "
            f"{heard.way:.1f} ms (99 %), {heard.worst:.1f} ms (worst)"
        )


class Load:
    """`offer` calls; `said` is what was measured so far."""

    def __init__(self, site: Site, meter: Meter, talking: Talking) -> None:
        self._site = site
        self._meter = meter
        self._talking = talking
        self.said: list[str] = []

    def quiet(self, seconds: float) -> Heard:
        """How those who talk fare without load."""
        first = self._talking.now()
        time.sleep(seconds)
        return self._heard(first)

    def offer(self, rate: float, seconds: int) -> Window:
        """So many calls a second; each asks again three times at most, so that it ends."""
        self._site.settle()
        first, calls = self._talking.now(), round(rate * seconds)
        options = ("-s", "load", "-m", str(calls), "-r", str(max(1, round(rate))), "-d", "200")
        bounds = ("-l", "30000", "-timeout", "60s", "-max_invite_retrans", "3")
        with Sipp(PHONES, sipp.calling(refusals=True), self._site.server, *options, *bounds) as caller:
            outcome = caller.finish(90)
        start, end = outcome.window()
        took = end.at - start.at
        worked, waited = self._meter.between(start.at, end.at)
        window = Window(
            (end.begun - start.begun) / took,
            (end.completed - start.completed) / took,
            (end.refused - start.refused) / took,
            worked / took,
            waited / took,
            self._heard(first),
        )
        self.said.append(str(window))
        return window

    def _heard(self, first: int) -> Heard:
        last = self._talking.now()
        time.sleep(0.5)
        return self._talking.heard(first, last)


@contextmanager
def loaded_house(sip: str = "") -> Iterator[Load]:
    """`sip`: lines for `[sip]`. Two calls talk."""
    with (
        Site(HOST, trusted=PHONES, level="warning", sip=sip) as site,
        Telephones(PHONES, site.server) as phones,
        Sipp(PHONES, sipp.answering(), None, "-timeout", "600s") as callee,
        Talking(phones) as talking,
        Meter(site.pid) as meter,
    ):
        for name in ("load", "talker"):
            site.account(name)
        phones.register("load", contact=callee.address)
        phones.register("talker")
        talking.begin("talker", 2)
        load = Load(site, meter, talking)
        load.offer(30, 4)  # what is loaded and made only once
        yield load
