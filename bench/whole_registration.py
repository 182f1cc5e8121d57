"""What a registration costs the whole server, and what it keeps of it. SIPp registers; the CPU is the server's alone.

Contacts are spread over accounts, each new one gets a NOTIFY of its lamp, as a phone would.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from bench.figures import Figure, effort, quick
from bench.sipp import Outcome, Sipp, lines, registering, registration
from bench.site import DOMAIN, PASSWORD, Site

HOST, PHONES = "127.0.75.1", "127.0.75.2"
ACCOUNTS, CONTACTS = 200, 10
RATE = 400
PORT = 15_060
FORGOTTEN = 34.0
"""Seconds after which a transaction over UDP is over (RFC 3261 §17, 64*T1), so that its memory is used again."""


def run() -> list[Figure]:
    with Site(HOST) as site, tempfile.TemporaryDirectory() as folder:
        for number in range(ACCOUNTS):
            site.account(f"u{number}")
        few = [registration(f"u{number}", f"warm{number}", PASSWORD) for number in range(ACCOUNTS)]
        _load(site, folder, few, ACCOUNTS)
        site.settle()  # the mailboxes of all accounts are opened once, to count what their lamps show
        refresh_cost, refresh = _load(site, folder, few, effort(2000, 600))
        if not quick():
            time.sleep(FORGOTTEN)
        all_contacts = [
            registration(f"u{n}", f"c{place}", PASSWORD) for place in range(1, CONTACTS) for n in range(ACCOUNTS)
        ]
        count = effort(len(all_contacts), 600)
        before = site.usage()
        new_cost, new = _load(site, folder, all_contacts, count)
        grown = (site.usage() - before).main_memory / count * 1000
    kept = "memory for 1,000 registrations" + (" and their transactions" if quick() else "")
    return [
        (f"whole server: registration, new contact, lamp told, {RATE}/s", new_cost, "CPU µs"),
        (f"whole server: registration, refresh, {RATE}/s", refresh_cost, "CPU µs"),
        ("whole server: registrations that failed", float(new.failed + refresh.failed), "of all"),
        (f"whole server: {kept}", grown, "KiB"),
    ]


def _load(site: Site, folder: str, rows: list[str], count: int) -> tuple[float, Outcome]:
    """(CPU µs for each, how it went)."""
    before = site.usage()
    options = ("-inf", lines(Path(folder), rows), "-m", str(count), "-r", str(RATE), "-l", "4000")
    with Sipp(PHONES, registering(DOMAIN), site.server, *options, port=PORT) as sipp:
        outcome = sipp.finish(60)
    time.sleep(0.2)  # what is still under way when SIPp has its last answer
    return (site.usage() - before).main / max(1, outcome.successful) * 1e6, outcome


if __name__ == "__main__":
    for name, value, unit in run():
        print(f"{value:>10.1f} {unit:10} {name}")
