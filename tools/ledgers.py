"""Writes the pages that the code itself knows best: `python -m tools.ledgers`.

`docs/settings.md` comes from `directory.settings`; `docs/rfc.md` and `docs/quirks.md` from citations and tags in the
code (`RFC nnnn §n`, `Deviation:`, `Missing:`, `Interop:`, `Limit:`). A test fails when a page is not what this writes.
"""

from __future__ import annotations

from pathlib import Path

from directory.settings import SETTINGS
from tools.remarks import ROOT, capital, citations, remarks
from tools.rfcs import TITLES
from tools.workarounds_page import workarounds_page


def rfc_page() -> str:
    """docs/rfc.md."""
    cited = citations()
    lines = [
        "# Standards that the code follows",
        "",
        "Written by `python -m tools.ledgers`; do not edit. A section stands here when the code cites it as",
        "`RFC nnnn §n`, beside the line that obeys it. What we do otherwise is under [Deviations](#deviations),",
        "what of these documents is not there under [Not followed](#not-followed), each with its reason; what else",
        "does not work is in [gaps.md](gaps.md).",
        "",
    ]
    for number in sorted(cited):
        lines += [
            f"## RFC {number}{_title(number)}",
            "",
            "| section | cited in |",
            "|---|---|",
            *(
                f"| {f'§{section}' if section else 'as a whole'} | {_modules(cited[number][section])} |"
                for section in sorted(cited[number], key=_order)
            ),
            "",
        ]
    return "\n".join([*lines, *_deviations(), *_missing(), *_limits(), ""])


def _title(number: int) -> str:
    return f": {TITLES[number]}" if number in TITLES else ""


def _modules(names: set[str]) -> str:
    return ", ".join(f"`{name}`" for name in sorted(names))


def _order(section: str) -> list[tuple[int, str]]:
    return [(int(part) if part.isdigit() else 10_000, part) for part in section.split(".")] if section else []


def _deviations() -> list[str]:
    return _told(
        "Deviation",
        "## Deviations",
        "Where we knowingly do otherwise. Workarounds for devices are in [quirks.md](quirks.md).",
    )


def _missing() -> list[str]:
    return _told("Missing", "## Not followed", "What is not there, and why.")


def _told(tag: str, heading: str, about: str) -> list[str]:
    rows = [f"| {capital(_cell(one.text))} | `{one.module}` |" for one in remarks() if one.tag == tag]
    return [heading, "", about, "", "| what and why | where |", "|---|---|", *rows, ""]


def _limits() -> list[str]:
    rows = [
        f"| {capital(_cell(one.text))} | {_value(one.value)} | `{one.module}` |"
        for one in remarks()
        if one.tag == "Limit"
    ]
    return [
        "## Limits",
        "",
        "Bounds that keep the server alive under bad or heavy input. They are constants in the code.",
        "",
        "| what it bounds | constant | where |",
        "|---|---|---|",
        *rows,
    ]


def _value(text: str) -> str:
    return f"`{_cell(text)}`" if text else ""


def _cell(text: str) -> str:
    return text.strip().replace("|", "\\|")


def quirks_page() -> str:
    """docs/quirks.md."""
    rows = [f"| {capital(_cell(one.text))} | `{one.module}` |" for one in remarks() if one.tag == "Interop"]
    return "\n".join(
        [
            "# What we do for the sake of devices and programs",
            "",
            "Written by `python -m tools.ledgers`; do not edit. Each row is an `Interop:` remark in the code:",
            "something that the standard does not ask for, and that telephones or mail clients in the field need.",
            "",
            "| what | where |",
            "|---|---|",
            *rows,
            "",
        ]
    )


def settings_page() -> str:
    """docs/settings.md."""
    rows = [
        f"| `{row.key}` | {row.kind.value} | {_default(row.default)} | {_cell(row.meaning + ' (limit)' * row.limit)} |"
        for row in SETTINGS.values()
    ]
    return "\n".join(
        [
            "# Settings of accounts, domains and the server",
            "",
            "Written by `python -m tools.ledgers` from `directory/settings.py`; do not edit.",
            "",
            "A value is looked up at the account, then at its domain, then at the server, then here. The next call",
            "uses a changed value; nothing needs a restart. What needs one is in [configuration.md](configuration.md).",
            "",
            "```sh",
            "tandem setting get alice                        # all, and which are the account's own",
            "tandem setting set alice VoicemailAfter 20      # of one account",
            "tandem setting set @example.org Language french # of a domain",
            "tandem setting set @ Operator bob               # of the whole server",
            "tandem setting set alice VoicemailAfter --default",
            "```",
            "",
            "A value that is inherited is shown as `default(30)`. A limit is changed by administrators of the server,",
            "and by those of a domain with the right [`Limits`](accounts.md#who-administers-what).",
            "",
            "Lists are written with commas: `tandem setting set pbx ReceptMenu sales,support,operator`.",
            "",
            "| setting | value | default | meaning |",
            "|---|---|---|---|",
            *rows,
            "",
        ]
    )


def _default(value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(str, value)) or "none"
    return "none" if value in (None, "") else str(value)


def pages() -> dict[Path, str]:
    """Every generated page by its file."""
    docs = ROOT / "docs"
    return {
        docs / "settings.md": settings_page(),
        docs / "rfc.md": rfc_page(),
        docs / "quirks.md": quirks_page(),
        docs / "workarounds.md": workarounds_page(),
    }


if __name__ == "__main__":
    for path, text in pages().items():
        path.write_text(text, "utf-8")
