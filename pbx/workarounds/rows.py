"""The table of workarounds: rows of who and what, and the lookup that others ask. Pure; it stores nothing.

A row names a beginning-to-end pattern of a User-Agent (`*` and `?`, letter case does not count), or an address or
network. All rows that fit count together.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import translate
from functools import lru_cache

from base.failures import Failure
from pbx.workarounds.kinds import NOTHING, Workaround

LONGEST = 128
"""Limit: characters of a pattern, and of a User-Agent that are looked at; registrations keep as many."""
REMEMBERED = 4096
"""Limit: pairs of User-Agent and address whose workarounds are remembered."""

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class Row:
    """One line. `stock`: it came with the program; `off`: an administrator has switched that stock row off."""

    who: str
    what: Workaround
    note: str = ""
    stock: bool = False
    off: bool = False

    @property
    def key(self) -> tuple[str, Workaround]:
        return self.who.lower(), self.what


def whose(text: str) -> str:
    """The pattern or network as it is kept. Raises Failure("invalid") for one that would fit nobody or everybody."""
    text = text.strip()
    network = _network(text)
    if network is not None:
        return str(network)
    if not text.strip("*?") or len(text) > LONGEST or not text.isprintable():
        raise Failure(
            "invalid",
            'write a User-Agent with * for any letters ("Cisco-CP79*"), an address, or a network (192.0.2.0/24)',
        )
    return text


class Workarounds:
    """Ask `for_`. `put` and `drop` change the table; the next message is made by it."""

    def __init__(self, stock: Iterable[Row] = ()) -> None:
        self._stock = {row.key: row for row in stock}
        self._own: dict[tuple[str, Workaround], Row] = {}
        self._agents: list[tuple[re.Pattern[str], Workaround]] = []
        self._networks: list[tuple[Network, Workaround]] = []
        self._known: dict[tuple[str, str], frozenset[Workaround]] = {}
        self._arrange()

    def for_(self, user_agent: str, address: str) -> frozenset[Workaround]:
        """What is done for a device of that User-Agent (empty: unknown) at that numeric address."""
        if not self._agents and not self._networks:
            return NOTHING
        key = (user_agent[:LONGEST], address)
        known = self._known.get(key)
        if known is None:
            if len(self._known) >= REMEMBERED:
                self._known.clear()
            known = self._known[key] = frozenset(self._found(*key))
        return known

    def _found(self, agent: str, address: str) -> Iterable[Workaround]:
        yield from (what for pattern, what in self._agents if pattern.match(agent))
        if self._networks:
            try:
                host = ipaddress.ip_address(address)
            except ValueError:
                return
            yield from (what for network, what in self._networks if host in network)

    @property
    def rows(self) -> Sequence[Row]:
        """All rows, the stock ones first; those that are switched off say so."""
        shown = [Row(row.who, row.what, row.note, True, self._is_off(row)) for row in self._stock.values()]
        return [*shown, *(row for key, row in self._own.items() if key not in self._stock)]

    def _is_off(self, row: Row) -> bool:
        own = self._own.get(row.key)
        return own is not None and own.off

    def stock(self, key: tuple[str, Workaround]) -> bool:
        """Whether such a row came with the program."""
        return key in self._stock

    def own(self) -> Sequence[Row]:
        """The administrator's rows, those that switch a stock row off too."""
        return list(self._own.values())

    def replace(self, rows: Iterable[Row]) -> None:
        """Have these rows of the administrator's and no others."""
        self._own = {row.key: row for row in rows}
        self._arrange()

    def put(self, rows: Iterable[Row]) -> None:
        """Add rows of the administrator's."""
        for row in rows:
            self._own[row.key] = row
        self._arrange()

    def drop(self, key: tuple[str, Workaround]) -> None:
        """Forget a row of the administrator's."""
        self._own.pop(key, None)
        self._arrange()

    def _arrange(self) -> None:
        self._known.clear()
        self._agents, self._networks = [], []
        for row in self.rows:
            if row.off:
                continue
            network = _network(row.who)
            if network is None:
                self._agents.append((_pattern(row.who), row.what))
            else:
                self._networks.append((network, row.what))


def _network(text: str) -> Network | None:
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None


@lru_cache(maxsize=256)
def _pattern(glob: str) -> re.Pattern[str]:
    """Interop: brackets are no sets here, as User-Agents have them: `Grandstream [1.0]`."""
    return re.compile(translate(glob.replace("[", "[[]")), re.IGNORECASE)
