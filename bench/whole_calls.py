"""What a call of 13 messages costs the whole server, proxied and through the B2BUA; SIPp is both telephones.

INVITE, 100, 180, 200, ACK, BYE, 200 on either side; caller and callee answer at once, the call lasts 0.2 s. The caller
is a trusted peer, so that no login is counted. Main process and media worker apart.
"""

from __future__ import annotations

import time

from bench.figures import Figure, effort
from bench.phones import Telephones
from bench.sipp import Outcome, Sipp, answering, calling
from bench.site import Site

HOST, PHONES = "127.0.76.1", "127.0.76.2"
RATES = (100, 300)
_OPTIONS = ("-l", "3000", "-timeout", "60s")


def run() -> list[Figure]:
    with Site(HOST, trusted=PHONES) as site, Sipp(PHONES, answering(), None, "-timeout", "240s") as callee:
        site.account("featured")
        site.account("plain", CallFeatures="NO")
        with Telephones(PHONES, site.server) as phones:
            for name in ("featured", "plain"):
                phones.register(name, contact=callee.address)
        for name in ("featured", "plain"):
            _load(site, name, 100, 50)  # what is loaded and made only once
        figures: list[Figure] = []
        for name, way in (("plain", "proxied"), ("featured", "B2BUA")):
            for rate in RATES:
                figures += _figures(site, name, f"whole server: {way} call, 13 messages, {rate}/s", rate)
        return figures


def _figures(site: Site, name: str, title: str, rate: int) -> list[Figure]:
    main, worker, outcome = _load(site, name, rate, rate * effort(5, 2))
    figures = [(f"{title}: main", main, "CPU µs")]
    if worker >= 5:
        figures.append((f"{title}: media worker", worker, "CPU µs"))
    if outcome.failed or outcome.retransmissions:
        figures.append((f"{title}: failed", float(outcome.failed), "calls"))
        figures.append((f"{title}: sent again", float(outcome.retransmissions), "messages"))
    return figures


def _load(site: Site, name: str, rate: int, count: int) -> tuple[float, float, Outcome]:
    """(µs of main, µs of the worker, how it went)."""
    before = site.usage()
    options = ("-s", name, "-m", str(count), "-r", str(rate), "-d", "200", *_OPTIONS)
    with Sipp(PHONES, calling(), site.server, *options) as caller:
        outcome = caller.finish(90)
    time.sleep(0.5)  # the other leg's BYE, the record
    spent, calls = site.usage() - before, max(1, outcome.successful)
    return spent.main / calls * 1e6, spent.worker / calls * 1e6, outcome


if __name__ == "__main__":
    for title, value, unit in run():
        print(f"{value:>10.1f} {unit:10} {title}")
