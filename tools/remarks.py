"""What the code says of itself: citations of RFCs, and remarks under a tag.

`RFC nnnn §n`, `Deviation:`, `Missing:`, `Interop:`, `Limit:`. The pages made of them are in `ledgers`.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("base", "directory", "pbx", "mail", "cgpl", "admin", "apps", "gateways", "web", "server", "tools")
KINDS = (".py", ".lark", ".sppr", ".sppi")
_OWN = {Path(__file__).resolve().with_name(name) for name in ("remarks.py", "ledgers.py", "rfcs.py")}

_CITATION = re.compile(r"RFC (\d{3,5})\b((?:,? ?(?:and |to |-)?§[0-9A-Z][\w.]*)*)")
_SECTION = re.compile(r"§([0-9A-Z][\w.]*)")
_NOT_THERE = re.compile(r'Missing: .*?(?=\n\s*\n|"""|\n[#\s]*(?:Deviation|Missing|Interop|Limit): )', re.DOTALL)
_CONTEXT = re.compile(r'^\s*"""')
_TAG = re.compile(r"\b(Deviation|Missing|Interop|Limit): (.*)$")
_CONSTANT = re.compile(r"^\s*([A-Za-z_][\w, ]*?)(?:: [\w\[\], |]+)? = (.+)$")


@dataclass(frozen=True, slots=True)
class Tagged:
    """One tagged remark: what it says, where, and the constant beside it, if any."""

    tag: str
    text: str
    module: str
    value: str = ""


def sources() -> list[Path]:
    """The product's own files; not the tests, nor what makes these pages."""
    found = [path for room in ROOMS for path in sorted((ROOT / room).rglob("*")) if path.suffix in KINDS]
    return [path for path in found if path not in _OWN]


def citations() -> dict[int, dict[str, set[str]]]:
    """RFC number → section ("" for the whole) → modules."""
    cited: dict[int, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for path in sources():
        followed = _NOT_THERE.sub("", path.read_text("utf-8"))
        text = re.sub(r"\n\s*(?://|#)? *", " ", followed)  # a citation may go over a line's end
        for number, rest in _CITATION.findall(text):
            for section in _SECTION.findall(rest) or [""]:
                cited[int(number)][section.rstrip(".")].add(_module(path))
    return cited


def _module(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def remarks() -> list[Tagged]:
    """All tagged remarks, in the order of the floors."""
    return [remark for path in sources() for remark in _remarks(path)]


def _remarks(path: Path) -> Iterator[Tagged]:
    lines = path.read_text("utf-8").splitlines()
    for index, line in enumerate(lines):
        match = _TAG.search(line)
        if match is None:
            continue
        before, after = line[: match.start()], lines[index + 1 :]
        code, mark, _ = before.partition("#")
        if mark and code.strip():
            yield Tagged(match[1], match[2], _module(path), _constant(code))
        elif mark:
            more = _comment(after)
            yield Tagged(
                match[1], _joined([match[2], *more]), _module(path), _constant((after[len(more) :] or [""])[0])
            )
        else:
            # A device's need is told by what the function is for; other remarks stand for themselves.
            context = _CONTEXT.sub("", before).strip() if match[1] == "Interop" else ""
            said = [f"{context} {capital(match[2])}".strip()]
            said += [] if '"""' in match[2] else _docstring(after)
            above = lines[index - 1] if before.strip() in ('"""', 'r"""') and index else ""
            yield Tagged(match[1], _joined(said).partition('"""')[0], _module(path), _constant(above))


def _comment(lines: Sequence[str]) -> list[str]:
    said: list[str] = []
    for line in lines:
        if not line.strip().startswith("# ") or _TAG.search(line):
            break
        said.append(line.strip()[2:])
    return said


def _docstring(lines: Sequence[str]) -> list[str]:
    said: list[str] = []
    for line in lines:
        if not line.strip() or line.strip() == '"""' or _TAG.search(line):
            break
        said.append(line.strip())
        if '"""' in line:
            break
    return said


def _joined(said: Sequence[str]) -> str:
    return " ".join(part.strip() for part in said)


def _constant(line: str) -> str:
    match = _CONSTANT.match(line.partition("  #")[0])
    return (
        "" if match is None or len(match[2]) > 60 or match[2].endswith(("(", "[", "{")) else f"{match[1]} = {match[2]}"
    )


def capital(text: str) -> str:
    """With a capital at its beginning."""
    return text[:1].upper() + text[1:]
