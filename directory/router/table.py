"""The Router's table: records in their order, the first that fits decides. Pure.

Not the whole way of an address: `directory.resolver` applies it again until nothing fits, then looks for names.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from base.failures import Failure
from directory.model import Address, Use
from directory.router.record import Record, RecordError, Verdict, parse_record

MOST_RECORDS = 2000  # Limit: records of the table; each call looks at all until one fits.


@dataclass(frozen=True, slots=True)
class Match:
    """The record that fits and what it makes of the address; `others`: the rest of its list."""

    record: Record
    outcome: Address | Verdict
    others: tuple[Address, ...] = ()


@dataclass(frozen=True, slots=True)
class RouterTable:
    """`text` is what the administrator wrote, remarks and all."""

    text: str = ""
    records: tuple[Record, ...] = ()

    def route(
        self, address: Address, use: Use, main_domain: str, *, literal: bool = False, named: bool = False
    ) -> Match | None:
        """The first record that fits. With `literal` only records count whose local part has no wildcards, with `named`
        only those that name the domain.

        A record that gives back the same address is passed over: it would only turn in a circle.
        """
        for record in self.records:
            if not record.serves(use) or (named and record.is_for_any_domain):
                continue
            if literal and (record.local is None or record.local.wildcards):
                continue
            outcome = record.apply(address, main_domain)
            if outcome is not None and outcome != address:
                return Match(record, outcome, record.apply_others(address, main_domain))
        return None


def parse_table(text: str, main_domain: str) -> RouterTable:
    """Raises Failure("invalid") that tells every faulty line with its column."""
    records, errors = [], []
    for number, line in enumerate(text.splitlines(), 1):
        try:
            record = parse_record(line, number, main_domain)
        except RecordError as error:
            errors.append(_shown(error, line))
            continue
        if record is not None:
            records.append(record)
    if len(records) > MOST_RECORDS:
        errors.append(f"{len(records)} records: at most {MOST_RECORDS}, please")
    if errors:
        raise Failure("invalid", "\n".join(errors))
    return RouterTable(text, tuple(records))


def _shown(error: RecordError, line: str) -> str:
    """The fault with its line and a mark below the column."""
    return f"{error}\n    {line.expandtabs(1)}\n    {' ' * (error.column - 1)}^"


def numbered(text: str) -> Iterator[str]:
    """The lines of a table with their numbers, for people."""
    lines = text.splitlines()
    width = len(str(len(lines)))
    for number, line in enumerate(lines, 1):
        yield f"{number:{width}}  {line}"
