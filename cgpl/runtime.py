"""A running program: a Task steps the generator that the compiler made, and says why it stopped.

A machine: no clock, no I/O, no asyncio. The host resumes it, answers its calls, and ends it.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from types import CodeType, TracebackType
from typing import Protocol, TypeAlias

from base.values import Dictionary, Value
from cgpl.builtins.table import Builtin, BuiltinTable
from cgpl.diagnostics import CompileError, Diagnostic, ProgramError, ProgramFault, SourceText, TraceEntry

CODE_MARK = "cg/pl:"  # Compiled sections carry this before their file name, so that tracebacks can be told apart.


@dataclass(slots=True)
class HostCall:
    """The program waits for the host: resume the task with the result.

    `name` is in lower case. For `spawn` the arguments are the entry's name and the value, and there is no built-in.
    `program` is the file where the call stands.
    """

    name: str
    args: tuple[Value, ...]
    program: Program
    builtin: Builtin | None = None


class Slice:
    """The program has run for its slice and would go on: let others run, then resume."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Finished:
    """The program has ended, `stopped` by the `stop` statement or at the end of its entry."""

    stopped: bool = False


Outcome: TypeAlias = HostCall | Slice | Finished
Running: TypeAlias = Generator[HostCall | Slice, Value, Value]

SLICE = Slice()


class StopTask(Exception):
    """The `stop` statement."""


class Section(Protocol):
    """A compiled section: a generator function whose first argument is the task."""

    def __call__(self, task: Task, /, *args: Value) -> Running: ...


@dataclass(frozen=True, slots=True)
class Entry:
    """A section that can be called: its kind, how many parameters, and its code."""

    kind: str
    parameters: int
    code: Section


@dataclass(frozen=True, slots=True)
class External:
    """A section of another file that a program declares and calls."""

    module: str
    name: str
    kind: str
    line: int


@dataclass(slots=True, eq=False)
class Program:
    """A compiled file, shared by all tasks that run it. `task_variables` counts its top-level variables."""

    filename: str
    source: SourceText
    warnings: tuple[Diagnostic, ...] = ()
    entries: dict[str, Section] = field(default_factory=dict)
    sections: dict[str, Entry] = field(default_factory=dict)
    externals: tuple[External, ...] = ()
    task_variables: int = 0


class Loader(Protocol):
    """Finds external modules."""

    def module(self, name: str) -> Program | None:
        """The module of that name (lower case, no extension) or None. A CompileError becomes a program exception."""


class Host(Protocol):
    """What the built-ins that need no host still need from one."""

    def wall(self) -> float:
        """Seconds since 1970, GMT."""

    def octets(self, count: int) -> bytes:
        """Random octets."""

    def log(self, text: str) -> None:
        """A line that the program writes to the log."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How much a program may use.

    `slice_steps`: statements until others get a turn; `budget`: statements without a real wait; `depth`: nested calls.
    """

    slice_steps: int = 5_000
    budget: int = 50_000_000
    depth: int = 100


DEFAULT_LIMITS = Limits()
CALL_STEPS = 50  # What a call of the host counts for in the budget.


class Task:
    """One running program.

    Built-ins see it as their context: `host`, `vars`, `language`, `time_zone`. `left` and `depth` belong to the
    compiled code.
    """

    __slots__ = (
        "_generator",
        "_modules",
        "_sliced",
        "_spent",
        "_variables",
        "depth",
        "host",
        "language",
        "left",
        "limits",
        "loader",
        "program",
        "time_zone",
        "vars",
    )

    def __init__(
        self,
        program: Program,
        entry: str = "main",
        *,
        host: Host,
        loader: Loader | None = None,
        vars: Dictionary | None = None,
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        """Raises ProgramError when the program has no such entry."""
        self.program = program
        self.host = host
        self.loader = loader
        self.vars = Dictionary() if vars is None else vars
        self.limits = limits
        self.language: str | None = None
        self.time_zone: str | None = None
        self.left = limits.slice_steps
        self.depth = limits.depth
        self._spent = 0
        self._sliced = False
        self._modules: dict[str, Program] | None = None
        self._variables: dict[Program, list[Value]] | None = None
        code = program.entries.get(entry.lower())
        if code is None:
            raise ProgramError(f"there is no entry '{entry}'", [TraceEntry(program.filename, 1, 1, entry, "")])
        self._generator: Running | None = code(self)

    @property
    def ended(self) -> bool:
        return self._generator is None

    def resume(self, value: Value = None, *, waited: bool = True) -> Outcome:
        """Run on: first from the start, then with the answer to a HostCall, or with nothing after a Slice.

        Pass `waited=False` when the answer was there at once: then the step budget runs on, so that a loop that never
        really waits is stopped too. Raises ProgramError, which ends the task.
        """
        generator = self._generator
        if generator is None:
            return Finished()
        self.left = self.limits.slice_steps
        if waited and not self._sliced:
            self._spent = 0
        try:
            outcome = generator.send(value)
            self._sliced = outcome is SLICE
            self._spent += self.limits.slice_steps - self.left + CALL_STEPS
            if self._spent > self.limits.budget:
                generator.throw(ProgramFault(f"the program runs for {self.limits.budget} steps without waiting"))
        except (StopIteration, StopTask, ProgramFault, RecursionError, MemoryError) as end:
            return self._ended(end)
        return outcome

    def fail(self, message: str) -> Outcome:
        """Answer a HostCall with a program exception. Raises ProgramError."""
        if self._generator is None:
            return Finished()
        try:
            return self._generator.throw(ProgramFault(message))
        except (StopIteration, StopTask, ProgramFault, RecursionError, MemoryError) as end:
            return self._ended(end)

    def close(self) -> None:
        """Drop a program that waits; nothing of it runs any more."""
        generator, self._generator = self._generator, None
        if generator is not None:
            generator.close()

    def _ended(self, end: Exception) -> Finished:
        """What the end of the generator means. Raises ProgramError."""
        self._generator = None
        match end:
            case StopIteration():
                return Finished()
            case StopTask():
                return Finished(stopped=True)
            case RecursionError():
                message = "the calls nest too deeply"
            case MemoryError():
                message = "out of memory"
            case _:
                message = str(end)
        raise ProgramError(message, trace_of(end.__traceback__, self._sources())) from None

    def charge(self, steps: int) -> None:
        """Count work that a built-in does by the size of its arguments."""
        self.left -= steps

    # For compiled code

    def too_deep(self) -> None:
        raise ProgramFault(f"more than {self.limits.depth} calls inside one another")

    def variables(self, program: Program) -> list[Value]:
        """The task variables of a file."""
        if self._variables is None:
            self._variables = {}
        if program not in self._variables:
            self._variables[program] = [None] * program.task_variables
        return self._variables[program]

    def link(self, module: str, name: str, kind: str, given: int) -> Section:
        """The code of an external section. Raises ProgramFault."""
        program = self._module(module)
        section = program.sections.get(name)
        if section is None:
            raise ProgramFault(f"module '{module}' has no section '{name}'")
        if section.kind != kind:
            raise ProgramFault(f"'{module}::{name}' is a {section.kind}, not a {kind}")
        if section.parameters != given:
            raise ProgramFault(f"'{module}::{name}' has {section.parameters} parameters, {given} given")
        return section.code

    def named(self, kind: str, name: Value, given: int) -> Section:
        """The code of the external section that a value names: `p`, or `m::p`."""
        if not isinstance(name, str):
            raise ProgramFault("the name of the section to call is not a string")
        module, separator, section = name.lower().partition("::")
        return self.link(module, section if separator else module, kind, given)

    def _module(self, name: str) -> Program:
        if self._modules is None:
            self._modules = {}
        program = self._modules.get(name)
        if program is None:
            program = self._loaded(name)
            if program is None:
                raise ProgramFault(f"there is no module '{name}'")
            self._modules[name] = program
        return program

    def _loaded(self, name: str) -> Program | None:
        try:
            return None if self.loader is None else self.loader.module(name)
        except CompileError as error:
            raise ProgramFault(f"module '{name}' does not compile: {error.diagnostics[0]}") from None

    def _sources(self) -> dict[str, SourceText]:
        programs = [self.program, *(self._modules or {}).values()]
        return {program.filename: program.source for program in programs}


def trace_of(traceback: TracebackType | None, sources: dict[str, SourceText]) -> Sequence[TraceEntry]:
    """The sections that were running, the innermost first."""
    entries: list[TraceEntry] = []
    while traceback is not None:
        code = traceback.tb_frame.f_code
        if code.co_filename.startswith(CODE_MARK):
            filename = code.co_filename.removeprefix(CODE_MARK)
            line = traceback.tb_lineno or 0
            source = sources.get(filename)
            text = source.line(line) if source else ""
            entries.append(TraceEntry(filename, line, _column(code, traceback.tb_lasti), code.co_name[2:], text))
        traceback = traceback.tb_next
    entries.reverse()
    return entries


def _column(code: CodeType, instruction: int) -> int:
    """The column, from 1, of the operation that was running."""
    position = next(islice(code.co_positions(), instruction // 2, None), None)
    return (position[2] or 0) + 1 if position else 1


__all__ = [
    "DEFAULT_LIMITS",
    "BuiltinTable",
    "External",
    "Finished",
    "Host",
    "HostCall",
    "Limits",
    "Loader",
    "Outcome",
    "Program",
    "Slice",
    "Task",
]
