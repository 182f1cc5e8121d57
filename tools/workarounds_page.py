"""Writes `docs/workarounds.md` from `pbx.workarounds`; `tools.ledgers` puts it into its place."""

from __future__ import annotations

from pbx.workarounds.kinds import Workaround
from pbx.workarounds.stock import STOCK


def workarounds_page() -> str:
    """docs/workarounds.md."""
    kinds = [f"| `{each.value}` | {each.meaning} |" for each in Workaround]
    stock = [f"| `{row.who}` | `{row.what.value}` | {row.note} |" for row in STOCK]
    return "\n".join(
        [
            "# Workarounds for devices",
            "",
            "Written by `python -m tools.ledgers` from `pbx/workarounds`; do not edit.",
            "",
            "A device that does not do what the standards say can be given a workaround, by its User-Agent or its",
            "address, while the server runs; its next message is treated so. All rows that fit count together.",
            "What is done for everybody, because it harms nobody, is in [quirks.md](quirks.md).",
            "",
            "```sh",
            "tandem workaround list                                  # who gets what",
            "tandem workaround add 'Cisco-CP79*' no-options          # by User-Agent; * stands for any letters",
            "tandem workaround add 192.0.2.0/24 plain-ringing --note 'the old gateway'",
            "tandem workaround remove 'Cisco-CP79*' no-options       # a stock row is switched off",
            "tandem workaround try 'Cisco-CP7960G/8.0' --address 192.0.2.7",
            "```",
            "",
            "The User-Agent of a telephone is in the column DEVICE of `tandem registrations`. Calls to it go by what",
            "it said when it registered, calls from it by what their INVITE says.",
            "",
            "| workaround | what is done, and for whom |",
            "|---|---|",
            *kinds,
            "",
            "## Rows that come with the program",
            "",
            "How sure we are stands first: *tried* in a test or by hand, *documented* by the maker or by other",
            "servers, or *remembered* from reports in the field.",
            "",
            "| who | workaround | why |",
            "|---|---|---|",
            *stock,
            "",
        ]
    )
