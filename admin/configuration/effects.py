"""What a change means for calls: which numbers lead elsewhere, and which accounts treat their calls otherwise."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from directory.directory import Directory
from directory.model import Address
from directory.rules.occasion import Occasion
from directory.rules.words import told
from directory.words import describe

MOST = 500
"""Limit: effects that are told."""
_BREATH = 100
"""Names that are looked at before others have their turn on the loop."""


async def effects(before: Directory, after: Directory, wall: float) -> list[str]:
    """Sentences. `wall`: seconds since 1970; rules are compared on a working day, in the evening, and on a Sunday."""
    found: list[str] = []
    moments, change = _moments(wall), _Change(before, after)
    for number, address in enumerate(_names(before, after)):
        if number % _BREATH == 0:
            await asyncio.sleep(0)
        if len(found) >= MOST:
            return [*found, "and more"]
        if not change.touches(address):
            continue
        was, will_be = _leads(before, address), _leads(after, address)
        if was != will_be:
            found.append(f"{address}: {_words(was)} → {_words(will_be)}")
        found += _treated(before, after, address, moments)
    return found


class _Change:
    """What it may have touched at all: of ten thousand accounts most are as they were, and need no look."""

    def __init__(self, before: Directory, after: Directory) -> None:
        self._before = before
        self._after = after
        same = before.own_server_settings() == after.own_server_settings()  # the Router is among them
        same = same and all(
            before.domain_book.aliases(each) == after.domain_book.aliases(each) for each in after.domains()
        )
        self._same_domains = {
            domain
            for domain in {*before.domains()} & {*after.domains()}
            if same and before.own_domain_settings(domain) == after.own_domain_settings(domain)
        }

    def touches(self, address: Address) -> bool:
        """Not when the same account has the name and its settings, and what comes before names is as it was."""
        was = self._before.find_account(address.domain, address.local)
        if was is None or was != self._after.find_account(address.domain, address.local):
            return True
        same_account = self._before.own_settings(was.id) == self._after.own_settings(was.id)
        return not same_account or address.domain not in self._same_domains


def _names(before: Directory, after: Directory) -> list[Address]:
    names = {*before.names(), *after.names()}
    for directory in (before, after):
        numbers = (*directory.emergency_numbers(), *directory.telnums.all())
        names |= {Address(number, directory.main_domain) for number in numbers}
    return sorted(names, key=lambda address: (address.domain, address.local))


def _leads(directory: Directory, address: Address) -> tuple[str, str]:
    if directory.local_domain(address.domain) is None:
        return "unknown", str(address)
    return describe(directory.resolve(address, caller=None).route)


def _words(lead: tuple[str, str]) -> str:
    return "nobody" if lead[0] == "unknown" else f"{lead[0]} {lead[1]}"


def _treated(before: Directory, after: Directory, address: Address, moments: list[tuple[str, float]]) -> Iterator[str]:
    """Each account once, by its own name."""
    old, new = before.find_account(address.domain, address.local), after.find_account(address.domain, address.local)
    if old is None or new is None or new.name != address.local:
        return
    for words, wall in moments:
        was = [told(rule) for rule in before.call_rules(old.id, Occasion(wall=wall))]
        will_be = [told(rule) for rule in after.call_rules(new.id, Occasion(wall=wall))]
        if was != will_be:
            yield f"calls to {address} {words}: {_rules(will_be)} (was {_rules(was)})"
            return


def _rules(told_: list[str]) -> str:
    return "; ".join(told_) or "they just ring"


def _moments(wall: float) -> list[tuple[str, float]]:
    """The coming Wednesday at 11 and at 21, and the Sunday after it at noon, by UTC."""
    today = datetime.fromtimestamp(wall, UTC).replace(minute=0, second=0, microsecond=0)
    wednesday = today + timedelta(days=(2 - today.weekday()) % 7)
    return [
        ("on a working day", wednesday.replace(hour=11).timestamp()),
        ("in the evening", wednesday.replace(hour=21).timestamp()),
        ("on a Sunday", (wednesday + timedelta(days=4)).replace(hour=12).timestamp()),
    ]
