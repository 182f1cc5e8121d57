"""The ledgers of the RFCs' torture messages: what each RFC says of a message, and the message itself."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Case:
    """One line of a ledger. `statuses`: those that the verdict names; `wire`: those that we give."""

    rfc: str
    name: str
    section: str
    verdict: str
    statuses: frozenset[int]
    wire: tuple[int, ...]
    departs: str
    about: str

    @property
    def octets(self) -> bytes:
        """The message as it stands in the RFC."""
        return (HERE / self.rfc / f"{self.name}.dat").read_bytes()

    @property
    def data(self) -> bytes:
        """As it goes over the wire: with the right Content-Length where the ledger says that the RFC's is wrong."""
        if not self.about.startswith("length;"):
            return self.octets
        length = len(self.octets.partition(b"\r\n\r\n")[2])
        return re.sub(rb"(?<=\r\nContent-Length: )\d+", str(length).encode(), self.octets)

    @property
    def six(self) -> bool:
        return self.rfc == "rfc5118"

    def holds(self) -> bool:
        """Whether what we give is what the verdict names."""
        match self.verdict:
            case "drop":
                return not self.wire
            case "refuse":
                return bool(self.wire) and self.wire[0] in self.statuses
            case "may":
                return bool(self.wire) and (self.wire[0] in self.statuses or 200 in self.wire)
            case _:
                return not {400, 413, 416, 505, 513} & set(self.wire)


def cases(rfc: str) -> list[Case]:
    """All lines of a ledger."""
    lines = (HERE / rfc / "ledger.txt").read_text().splitlines()
    return [_case(rfc, line) for line in lines if not line.startswith("#")]


def _case(rfc: str, line: str) -> Case:
    name, section, verdict, wire, departs, about = (column.strip() for column in line.split("|"))
    kind, *statuses = verdict.split()
    assert kind in ("accept", "refuse", "may", "drop"), line
    given = () if wire == "none" else tuple(map(int, wire.split()))
    return Case(rfc, name, section, kind, frozenset(map(int, statuses)), given, departs, about)
