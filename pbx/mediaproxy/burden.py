"""Whether the media worker has room for another call, by what it says of itself once a second. A machine.

Calls that go on are never touched: what is decided here is only whether new ones may come. Not here: the measuring
(`worker`), nor the 503 (`pbx.b2bua.switchboard`).
"""

from __future__ import annotations

BUSY, EASY = 0.8, 0.65
"""Limit: share of a processor that the worker may use; above the one nothing new comes, until below the other."""
LATE, PUNCTUAL = 20.0, 10.0
"""Limit: milliseconds by which one beat in a hundred may be late, a whole beat: a jitter buffer takes no more."""
AT_WORK = 0.3
"""Share below which a late beat is the machine's doing, and turning calls away would not help."""
TWICE = 2
"""Reports in a row that say the same before it is believed."""
TRANSLATION = 0.4
"""Limit: share of the worker's time for translating codecs; the rest is for the many that are only relayed."""
FIRST_COST = 0.03
"""Share that one translated call is taken to cost before any was measured: Opus both ways."""


class Burden:
    """Tell it of each report by `measured`."""

    def __init__(self) -> None:
        self.full = False
        self.busy = 0.0
        self.translation = 0.0
        self._cost = FIRST_COST
        self._alike = 0

    def measured(self, busy: float, late: float, translation: float, translators: int) -> bool:
        """Shares of the last second, lateness in milliseconds (99th percentile), and directions that were translated.
        True when `full` has changed."""
        self.busy, self.translation = busy, translation
        if translators and translation:
            self._cost = 2 * translation / translators
        heavy = busy >= BUSY or (busy >= AT_WORK and late >= LATE)
        light = busy < EASY and (busy < AT_WORK or late < PUNCTUAL)
        self._alike = self._alike + 1 if (light if self.full else heavy) else 0
        if self._alike < TWICE:
            return False
        self.full, self._alike = not self.full, 0
        return True

    def forget(self) -> None:
        """The worker is a new one, with nothing to do."""
        self.full, self.busy, self.translation, self._alike = False, 0.0, 0.0, 0

    def translates(self, under_way: int) -> bool:
        """Whether another call may be translated, with so many that are or may be once they are answered."""
        wanted = max(self.translation, under_way * self._cost) + self._cost
        return not self.full and wanted <= TRANSLATION
