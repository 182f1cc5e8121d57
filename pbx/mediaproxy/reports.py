"""What a media worker tells of itself and its streams once a second, and its RTCP each five. RFC 3550 §6."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping

from base.entropy import Entropy
from pbx.mediaproxy import protocol
from pbx.mediaproxy.endpoint import Endpoint
from pbx.mediaproxy.track import Track

_REPORT_EACH = 5  # seconds; RFC 3550 §6.2


class Reports:
    """`late` takes each beat's lateness in milliseconds, `translated` each packet that was turned into another codec;
    `second` tells all."""

    def __init__(
        self,
        tell: Callable[[protocol.Event], None],
        counted: Counter[str],
        entropy: Entropy,
        silent_after: float,
        now: float,
        worked: Callable[[], float],
    ) -> None:
        self._tell = tell
        self._counted = counted
        self._name = entropy.token(8)  # RFC 7022 §4.2: a CNAME that tells nothing
        self._silent_after = silent_after
        self._worked = worked
        self._seconds = 0
        self._late: list[float] = []
        self._translation = 0.0  # seconds since `_at`
        self._translators: set[int] = set()
        self._at, self._work = now, worked()

    def late(self, milliseconds: float) -> None:
        self._late.append(milliseconds)

    def translated(self, stream: int, seconds: float) -> None:
        self._translation += seconds
        self._translators.add(stream)

    def second(self, tracks: Mapping[int, Track], now: float, wall: float) -> None:
        """One has passed."""
        self._seconds += 1
        for number, track in tracks.items():
            if (number + self._seconds) % _REPORT_EACH == 0:
                track.report(self._name, now, wall)
        self._tell(protocol.Statistics(self._figures(tracks, now)))
        self._tell(self._beats(now))
        self._late.clear()
        self._counted.clear()
        self._translators.clear()
        self._translation, self._at, self._work = 0.0, now, self._worked()

    def _figures(self, tracks: Mapping[int, Track], now: float) -> dict[int, protocol.Figures]:
        """Of the streams that carried something since."""
        figures: dict[int, protocol.Figures] = {}
        for number, track in tracks.items():
            endpoint = track.endpoint
            endpoint.tick()
            carried = endpoint.packets_in + endpoint.packets_out + endpoint.latch.strangers
            if carried != endpoint.told:
                endpoint.told = carried
                figures[number] = endpoint.figures()
            self._watch_silence(endpoint, now)
        return figures

    def _beats(self, now: float) -> protocol.Beats:
        late, seconds = sorted(self._late) or [0.0], max(1e-9, now - self._at)
        return protocol.Beats(
            late[len(late) // 2],
            late[min(len(late) - 1, len(late) * 99 // 100)],
            dict(self._counted),
            (self._worked() - self._work) / seconds,
            self._translation / seconds,
            len(self._translators),
        )

    def _watch_silence(self, endpoint: Endpoint, now: float) -> None:
        """Tell each time that nothing has come in for another so many seconds."""
        settings = endpoint.settings
        if settings is None or not settings.receive or not endpoint.targets:
            endpoint.heard_at = now
            return
        if not endpoint.heard_at:
            endpoint.heard_at = now
        silent = now - endpoint.heard_at
        if silent < self._silent_after:
            endpoint.silence_told = 0.0
        elif silent - endpoint.silence_told >= self._silent_after:
            endpoint.silence_told = silent
            self._tell(protocol.Silent(endpoint.number, silent))
