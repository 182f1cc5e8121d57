"""The few lines that a start prints for the person at the terminal. Not the log: it may hold passwords, once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from directory.firststart import Credentials


@dataclass(frozen=True, slots=True)
class Facts:
    """What is true of this start. `sip` and `imap` are as bound, such as `udp 0.0.0.0:5060`; `notes` tells of
    fallbacks; `made` is what the first start made, else empty."""

    version: str
    domain: str
    sip: Sequence[str]
    imap: Sequence[str]
    data: Path
    made: Sequence[Credentials] = ()
    notes: Sequence[str] = ()
    provisioning: Sequence[str] = ()


def show(facts: Facts, console: Console | None = None) -> None:
    """Print the banner on standard output."""
    out = console or Console(highlight=False, soft_wrap=True)
    out.print(Text(f"Tandem {facts.version}", style="bold"))
    out.print(_places(facts))
    for note in facts.notes:
        out.print(Text(f"  note: {note}", style="yellow"))
    if facts.made:
        out.print("\n  Made at this first start; the passwords are shown only now:", markup=False)
        out.print(_accounts(facts.made))
    else:
        out.print("  Accounts: tandem account list · a new password: tandem account password NAME", markup=False)
    out.print("\n  Dial 600 (echo), 201 (alice), 202 (bob), 200 (attendant), *98 (your mailbox). Ctrl-C stops.\n")


def _places(facts: Facts) -> Table:
    grid = Table.grid(padding=(0, 2), pad_edge=True)
    grid.add_row("SIP domain", Text(facts.domain, style="bold"))
    grid.add_row("SIP", Text(", ".join(facts.sip)))
    grid.add_row("IMAP", Text(", ".join(facts.imap)))
    if facts.provisioning:
        grid.add_row("Phones' files", Text(", ".join(facts.provisioning)))
    grid.add_row("Data", Text(str(facts.data)))
    return grid


def _accounts(made: Sequence[Credentials]) -> Table:
    grid = Table.grid(padding=(0, 2), pad_edge=True)
    for one in made:
        number = f"extension {one.extension}" if one.extension else ""
        pin = f"mailbox PIN {one.pin}" if one.pin else ""
        grid.add_row(Text(one.name, style="bold"), number, f"password {one.password}", pin)
    return grid
