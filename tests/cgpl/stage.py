"""A bare stage for programs in tests: a host that writes down what they log, and answers their calls from a list."""

from __future__ import annotations

from base.values import Dictionary, Value
from cgpl import (
    Builtin,
    BuiltinTable,
    Finished,
    HostCall,
    Limits,
    Program,
    Slice,
    Task,
    compile_program,
    roster,
)

CALLS = (
    Builtin("ReadInput", "F", 1, 1, suspends=True),
    Builtin("Say", "P", 1, 1, suspends=True),
    Builtin("Ask", "F", 0, 3, suspends=True),
)


def table() -> BuiltinTable:
    return roster.table("pbx", CALLS)


class Stage:
    """The host."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def wall(self) -> float:
        return 1_700_000_000.5

    def octets(self, count: int) -> bytes:
        return bytes(range(1, count + 1))

    def log(self, text: str) -> None:
        self.lines.append(text)


class Shelf:
    """A loader of modules given as texts."""

    def __init__(self, modules: dict[str, str]) -> None:
        self._modules = modules

    def module(self, name: str) -> Program | None:
        text = self._modules.get(name)
        return None if text is None else compile_program(text, f"{name}.sppi", table())


def start(
    source: str | bytes, entry: str = "main", *, modules: dict[str, str] | None = None, limits: Limits | None = None
) -> Task:
    program = compile_program(source, "test.sppr", table())
    return Task(program, entry, host=Stage(), loader=Shelf(modules or {}), limits=limits or Limits())


def play(task: Task, *answers: Value) -> list[HostCall]:
    """Run to the end, answering each call with the next answer (null when they run out)."""
    waiting = list(answers)
    calls: list[HostCall] = []
    answer: Value = None
    while True:
        match task.resume(answer):
            case Finished():
                return calls
            case HostCall() as call:
                calls.append(call)
                answer = waiting.pop(0) if waiting else None
            case Slice():
                answer = None


def logged(source: str | bytes, *, modules: dict[str, str] | None = None) -> list[str]:
    """What a program logs from start to end."""
    task = start(source, modules=modules)
    play(task)
    assert isinstance(task.host, Stage)
    return task.host.lines


def evaluate(expression: str, before: str = "") -> Value:
    """The value of an expression, after some statements."""
    task = start(f"entry Main is {before} Vars().result = NewArray(); Vars().result[0] = {expression}; end;")
    play(task)
    result = task.vars.get("result")
    assert isinstance(result, list)
    return result[0]


__all__ = ["Dictionary", "Shelf", "Stage", "evaluate", "logged", "play", "start", "table"]
