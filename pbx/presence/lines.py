"""The lines of accounts: which of them is in which call, and how far it has come. Told by calls, read by packages.

Not a call: no leg, no audio. A line is one account's part in one call; an account that calls itself has two. A parking
place has one while somebody waits there.
RFC 4235 §3.7.1 (the states of a dialog; `replaced` and `rejected` are told by the reason of an end).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal
from zlib import crc32

Direction = Literal["initiator", "recipient"]
LineState = Literal["trying", "early", "confirmed"]

ENDINGS = 2_000
"""Limit: lines that have ended and whose reason is still known."""


@dataclass(frozen=True, slots=True)
class Line:
    """`peer` is the other party's address as far as it is known, `call_id` the Call-ID of the account's own dialog, and
    `tags` its tags as the telephone sees them: its own and ours."""

    id: str
    account_id: int
    direction: Direction
    state: LineState
    peer: str = ""
    peer_name: str = ""
    call_id: str = ""
    tags: tuple[str, str] = ("", "")


def place_id(address: str) -> int:
    """The number by which the line of a parking place is found, as an account's is by its own: no account has it."""
    return -1 - crc32(address.encode())


class Lines:
    """All lines of one server."""

    def __init__(self) -> None:
        self._by_account: dict[int, dict[str, Line]] = {}
        self._by_call: dict[str, tuple[Line, ...]] = {}
        self._endings: OrderedDict[str, str] = OrderedDict()
        self._listeners: list[Callable[[int], None]] = []

    def listen(self, callback: Callable[[int], None]) -> None:
        """Be told the account whose lines have changed."""
        self._listeners.append(callback)

    def of(self, account_id: int) -> Sequence[Line]:
        """The lines of one account, the oldest first."""
        return tuple(self._by_account.get(account_id, {}).values())

    def busy(self, account_id: int) -> bool:
        """Whether the account is on the phone."""
        return any(line.state == "confirmed" for line in self._by_account.get(account_id, {}).values())

    def ending(self, line_id: str) -> str:
        """Why a line has ended, in the words of RFC 4235 §4.1; empty when that is not known."""
        return self._endings.get(line_id, "")

    def update(self, call: str, lines: Sequence[Line], endings: Mapping[Direction, str] | None = None) -> None:
        """The lines of a call as they are now; none when it is over. `endings`: the reasons of those that are gone."""
        before, now = self._by_call.get(call, ()), tuple(lines)
        if before == now:
            return
        kept = {line.id for line in now}
        for line in before:
            if line.id not in kept:
                self._remove(line, (endings or {}).get(line.direction, ""))
        for line in now:
            self._by_account.setdefault(line.account_id, {})[line.id] = line
        if now:
            self._by_call[call] = now
        else:
            self._by_call.pop(call, None)
        self._tell({line.account_id for line in set(before) ^ set(now)})

    def _remove(self, line: Line, ending: str) -> None:
        mine = self._by_account.get(line.account_id, {})
        mine.pop(line.id, None)
        if not mine:
            self._by_account.pop(line.account_id, None)
        if ending:
            self._endings[line.id] = ending
            if len(self._endings) > ENDINGS:
                self._endings.popitem(last=False)

    def _tell(self, accounts: set[int]) -> None:
        for account_id in sorted(accounts):
            for listener in self._listeners:
                listener(account_id)

    def __len__(self) -> int:
        return len(self._by_call)
