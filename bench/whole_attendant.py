"""What a caller costs who dials 200, is answered by the attendant's program, hears two seconds of it and hangs up."""

from __future__ import annotations

import time

from bench.figures import Figure, effort
from bench.sipp import Sipp, calling
from bench.site import Site

HOST, PHONES = "127.0.78.1", "127.0.78.2"
RATE = 40
LISTENS = 2.0


def run() -> list[Figure]:
    with Site(HOST, trusted=PHONES) as site:
        _load(site, 20)
        main, worker, failed = _load(site, effort(400, 120))
    title = f"whole server: attendant call, {RATE}/s, {LISTENS:.0f} s of greeting"
    figures: list[Figure] = [(f"{title}: main", main, "CPU µs"), (f"{title}: media worker", worker, "CPU µs")]
    return figures + ([(f"{title}: failed", float(failed), "calls")] if failed else [])


def _load(site: Site, count: int) -> tuple[float, float, int]:
    before = site.usage()
    options = ("-s", "200", "-m", str(count), "-r", str(RATE), "-d", str(round(LISTENS * 1000)), "-l", "1000")
    with Sipp(PHONES, calling(), site.server, *options) as caller:
        outcome = caller.finish(60)
    time.sleep(0.5)  # the program ends, the record is written
    spent, calls = site.usage() - before, max(1, outcome.successful)
    return spent.main / calls * 1e6, spent.worker / calls * 1e6, outcome.failed


if __name__ == "__main__":
    for name, value, unit in run():
        print(f"{value:>10.1f} {unit:10} {name}")
