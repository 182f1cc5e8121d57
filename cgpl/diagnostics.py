"""What is said about a program: an error or a warning at a place, shown with its line and a caret.

Not the finding of errors; the parser, the checker and the running task make these.
"""

from __future__ import annotations

import difflib
import re
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum

_LINE_END = re.compile(r"\r\n|\r|\n")
_SHOWN = 160  # Limit: characters of a source line shown.


class Severity(Enum):
    ERROR = "error"
    WARNING = "warning"


class SourceText:
    """A program's text and its lines; CR, LF and CRLF end a line."""

    __slots__ = ("_starts", "filename", "text")

    def __init__(self, filename: str, text: str) -> None:
        self.filename = filename
        self.text = text
        self._starts = [0, *(match.end() for match in _LINE_END.finditer(text))]

    def position(self, offset: int) -> tuple[int, int]:
        """Line and column of an offset, both from 1."""
        line = bisect_right(self._starts, offset)
        return line, offset - self._starts[line - 1] + 1

    def line(self, number: int) -> str:
        """The text of a line, without its end; "" for a line that is not there."""
        if not 1 <= number <= len(self._starts):
            return ""
        end = self._starts[number] if number < len(self._starts) else len(self.text)
        return self.text[self._starts[number - 1] : end].rstrip("\r\n")


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One finding. `hint` says what to do, or is empty."""

    severity: Severity
    message: str
    filename: str
    line: int
    column: int
    source_line: str
    hint: str = ""

    def __str__(self) -> str:
        parts = [f"{self.filename}:{self.line}:{self.column}: {self.severity.value}: {self.message}"]
        if self.source_line.strip():
            parts += picture(self.source_line, self.column)
        if self.hint:
            parts.append(f"    hint: {self.hint}")
        return "\n".join(parts)


def picture(source_line: str, column: int) -> list[str]:
    """The line and a caret under the column; a long line is cut around it."""
    start = max(0, column - _SHOWN // 2) if len(source_line) > _SHOWN else 0
    shown = source_line[start : start + _SHOWN]
    pad = "".join("\t" if char == "\t" else " " for char in shown[: column - 1 - start])
    return [f"    {printable(shown)}", f"    {pad}^"]


def printable(text: str) -> str:
    """The text with control characters and stray octets made visible."""
    return "".join(char if char == "\t" or char.isprintable() else "\ufffd" for char in text)


def diagnose(source: SourceText, severity: Severity, offset: int, message: str, hint: str = "") -> Diagnostic:
    """A finding at an offset of the source."""
    line, column = source.position(offset)
    return Diagnostic(severity, message, source.filename, line, column, source.line(line), hint)


def suggest(name: str, known: Iterable[str]) -> str:
    """`did you mean 'x'?` when a known name is close, else ""."""
    close = difflib.get_close_matches(name.lower(), list(known), n=1, cutoff=0.75)
    return f"did you mean '{close[0]}'?" if close else ""


class CompileError(Exception):
    """A program that cannot be compiled; `diagnostics` has at least one error, and the warnings met on the way."""

    def __init__(self, diagnostics: Sequence[Diagnostic]) -> None:
        self.diagnostics = tuple(diagnostics)
        super().__init__("\n".join(str(diagnostic) for diagnostic in self.diagnostics))


class ProgramFault(Exception):
    """A built-in or an operator refuses to go on: the program is ended and the place is added."""


@dataclass(frozen=True, slots=True)
class TraceEntry:
    """One section that was running: the innermost comes first."""

    filename: str
    line: int
    column: int
    section: str
    source_line: str


class ProgramError(Exception):
    """A program was ended by an exception: what, where, and by which calls it came there."""

    def __init__(self, message: str, trace: Sequence[TraceEntry]) -> None:
        self.message = message
        self.trace = tuple(trace)
        at = self.trace[0] if self.trace else TraceEntry("?", 0, 0, "?", "")
        self.file, self.line, self.column, self.section = at.filename, at.line, at.column, at.section
        lines = [f"{self.file}:{self.line}:{self.column}: {message}"]
        if at.source_line.strip():
            lines += picture(at.source_line, at.column)
        lines += [f"    called from {entry.section} at {entry.filename}:{entry.line}" for entry in self.trace[1:]]
        super().__init__("\n".join(lines))
