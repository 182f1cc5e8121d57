"""From a checked tree to Python generator functions, through `ast`: no text of a program is ever handed to Python.

Each section becomes a generator function; each name becomes a prefixed local; each operation calls a helper with the
language's semantics; loops and sections count their steps and give way when a slice is over. What waits for the host is
a `yield`. Line and column of the program stay in the code, so that a fault tells its place.
"""

from __future__ import annotations

import ast
import hashlib
from typing import cast

from cgpl import syntax as s
from cgpl.builtins.table import BuiltinTable
from cgpl.checker import check
from cgpl.diagnostics import CompileError, Severity, SourceText, diagnose
from cgpl.expressions import helpers
from cgpl.names import Checked
from cgpl.parser import decode, parse
from cgpl.runtime import CODE_MARK, Entry, External, Program, Section
from cgpl.sections import Code, SectionCode, python_name


def compile_program(source: bytes | str, filename: str, builtins: BuiltinTable) -> Program:
    """Compile a file. Raises CompileError with everything that is wrong."""
    text = SourceText(filename, decode(source))
    try:
        return _compiled(check(parse(text), text, builtins), text)
    except RecursionError:
        raise CompileError([diagnose(text, Severity.ERROR, 0, "the program is too deeply nested")]) from None


def _compiled(checked: Checked, text: SourceText) -> Program:
    program = Program(text.filename, text, tuple(checked.warnings), task_variables=checked.task_variables)
    program.externals = tuple(
        External(target.module, target.name, target.kind, text.position(at)[0])
        for target, at in checked.externals.items()
    )
    _Compiler(checked, text, program).run()
    return program


class ProgramCache:
    """Compiled programs by content, so that unchanged files are compiled once."""

    def __init__(self, builtins: BuiltinTable, capacity: int = 256) -> None:
        self._builtins = builtins
        self._capacity = capacity
        self._programs: dict[bytes, Program] = {}

    def compile(self, source: bytes, filename: str) -> Program:
        """The compiled program. Raises CompileError."""
        key = hashlib.sha256(filename.encode("utf-8", "surrogateescape") + b"\0" + source).digest()
        program = self._programs.pop(key, None) or compile_program(source, filename, self._builtins)
        self._programs[key] = program
        if len(self._programs) > self._capacity:
            del self._programs[next(iter(self._programs))]
        return program


class _Compiler:
    """Makes the code of one file."""

    def __init__(self, checked: Checked, source: SourceText, program: Program) -> None:
        self._checked = checked
        self._source = source
        self._program = program
        self._namespace = helpers(program)

    def run(self) -> None:
        sections = [item for item in self._checked.tree.items if isinstance(item, s.Section) and item.linkage == "body"]
        functions: Code = [SectionCode(self._checked, self._source, self._namespace, item).build() for item in sections]
        module = ast.Module(body=functions, type_ignores=[])
        try:
            code = compile(module, CODE_MARK + self._program.filename, "exec", dont_inherit=True)
        except (RecursionError, SyntaxError, MemoryError) as error:
            message = f"the program is too large or too deeply nested ({type(error).__name__})"
            raise CompileError([diagnose(self._source, Severity.ERROR, 0, message)]) from None
        exec(code, self._namespace)
        for section in sections:
            function = cast(Section, self._namespace[python_name(section)])
            if section.kind == "entry":
                self._program.entries[section.key] = function
            else:
                self._program.sections[section.key] = Entry(section.kind, len(section.parameters), function)
