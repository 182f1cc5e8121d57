"""What the audio of calls costs the whole server: relayed packets, played packets, memory of calls that stand.

100 calls of real telephones over the B2BUA, then 100 callers who listen to the attendant.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from bench.figures import Figure, effort
from bench.phones import Call, Telephones
from bench.process import Usage
from bench.site import Site
from bench.sound import listen, speak

HOST, PHONES = "127.0.77.1", "127.0.77.2"
CALLS = 100
WARM = 10


def run() -> list[Figure]:
    with Site(HOST, trusted=PHONES) as site, Telephones(PHONES, site.server) as phones:
        site.account("callee")
        phones.register("callee")
        return [*_relay(site, phones), *_play(site, phones)]


def _relay(site: Site, phones: Telephones) -> list[Figure]:
    _finish(phones, _place(phones, "callee", WARM))
    before = site.usage()
    _place(phones, "callee", CALLS)
    legs = [call for call in (*phones.calls.values(), *phones.taken.values()) if not call.ended]
    speak(legs, 0.5)  # latched, and every buffer made
    grown = site.usage() - before
    begun = site.usage()
    sent = speak(legs, effort(6, 3), first=25)
    spent = site.usage() - begun
    _finish(phones, legs[:CALLS])
    return [
        (f"whole server: relayed RTP packet, {CALLS} calls G.711: media worker", spent.worker / sent * 1e6, "CPU µs"),
        (f"whole server: relayed RTP packet, {CALLS} calls G.711: main", spent.main / sent * 1e6, "CPU µs"),
        ("whole server: memory of a standing call: main", grown.main_memory / CALLS, "KiB"),
        ("whole server: memory of a standing call: media worker", grown.worker_memory / CALLS, "KiB"),
    ]


def _play(site: Site, phones: Telephones) -> list[Figure]:
    _finish(phones, _place(phones, "200", 2))
    calls = _place(phones, "200", CALLS)
    listen(calls)
    begun, seconds = site.usage(), effort(5, 3)
    end, heard = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        time.sleep(0.1)
        heard += listen(calls)
    spent: Usage = site.usage() - begun
    _finish(phones, calls)
    return [
        (f"whole server: played RTP packet, {CALLS} callers: media worker", spent.worker / heard * 1e6, "CPU µs"),
        (f"whole server: played RTP packet, {CALLS} callers: main", spent.main / heard * 1e6, "CPU µs"),
    ]


def _place(phones: Telephones, number: str, count: int) -> list[Call]:
    """Calls that are answered, five at a time."""
    calls: list[Call] = []
    for _ in range(0, count, 5):
        some = [phones.call(number) for _ in range(5)][: count - len(calls)]
        phones.until(lambda some=some: all(call.status for call in some))  # type: ignore[misc]
        calls += some
    refused = [call.status for call in calls if call.status != 200]
    if refused:
        raise RuntimeError(f"{len(refused)} calls to {number} were refused: {refused[0]}")
    return calls


def _finish(phones: Telephones, calls: Sequence[Call]) -> None:
    for call in calls:
        phones.hang_up(call)
    phones.until(lambda: all(call.ended for call in calls))


if __name__ == "__main__":
    for name, value, unit in run():
        print(f"{value:>10.1f} {unit:10} {name}")
