"""Writes the table of CG/PL built-ins of the PBX environment: `python -m tools.builtins_table > docs/cgpl/builtins.md`.

Generated from the tables that programs are compiled with, so that it cannot say more than the server does.
"""

from __future__ import annotations

from collections.abc import Iterable

from apps.roster import builtin_table, verbs
from cgpl import Builtin

_HEAD = """# Built-ins of Real-Time (PBX) applications

Written by `python -m tools.builtins_table > docs/cgpl/builtins.md`; do not edit. **F** is a function, **P** a
procedure; the numbers are how many arguments it takes. Names ignore case.
"""


def document() -> str:
    """The whole page."""
    table = builtin_table()
    hosted = {verb.name.lower(): (verb.now or verb.later) for verb in verbs()}
    ours = [builtin for builtin in table if builtin.key in hosted]
    language = [builtin for builtin in table if builtin.implemented and builtin.key not in hosted]
    missing = table.missing()
    foreign = [builtin for builtin in table if table.foreign(builtin)]
    told = {key: _first_line(getattr(verb, "__doc__", None)) for key, verb in hosted.items()}
    return "\n".join(
        [
            _HEAD,
            f"## With a host: {len(ours)}\n",
            "| name | | arguments | |",
            "|---|---|---|---|",
            *(f"| {b.name} | {b.kind} | {_arguments(b)} | {told[b.key]} |" for b in _sorted(ours)),
            f"\n## Of the language itself: {len(language)}\n",
            _names(language),
            f'\n## Known by name only: {len(missing)}\n\nA call answers the string `"NOT_SUPPORTED"`.\n',
            _names(missing),
            f"\n## Of other environments: {len(foreign)}\n\n`tandem cgpl check` warns of them.\n",
            _names(foreign),
            "",
        ]
    )


def _sorted(builtins: Iterable[Builtin]) -> list[Builtin]:
    return sorted(builtins, key=lambda builtin: builtin.key)


def _arguments(builtin: Builtin) -> str:
    least, most = builtin.min_args, builtin.max_args
    return str(least) if least == most else f"{least}-{most}"


def _names(builtins: Iterable[Builtin]) -> str:
    return " · ".join(f"{builtin.name}({_arguments(builtin)})" for builtin in _sorted(builtins))


def _first_line(text: str | None) -> str:
    return " ".join((text or "").strip().split("\n\n")[0].split()).replace("|", "\\|")


if __name__ == "__main__":
    print(document(), end="")
