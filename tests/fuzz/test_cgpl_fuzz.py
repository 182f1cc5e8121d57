"""Fuzz target: any text given as a CG/PL program is compiled or refused with file and line; what compiles runs or fails
as a program does, within its budget."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given

from cgpl import (
    CompileError,
    Finished,
    HostCall,
    Limits,
    Program,
    ProgramError,
    Slice,
    Task,
    compile_program,
    core_builtins,
)
from tests.fuzz.mutations import spoilt

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = [path.read_bytes() for path in sorted((ROOT / "apps").rglob("*.spp*")) if path.stat().st_size < 6000]
SMALL = [
    b'entry Main is\n  x = 1; y = NewArray(); y[0] = x + "a";\n  loop x += 1; exitif x > 5; end loop;\nend entry;\n',
    b"function f(a, b) is\n  return a > b ? a : f(b, a - 1);\nend function;\nentry Main is\n  z = f(3, 4) / 0;\nend;\n",
    b"entry Main { d = NewDictionary(); d.a = [1, {x=2;}]; if (d.a == null) { stop; } else { x = Length(d); } }\n",
    b"entry Main is\n  for i = 0 while i < 9 by i += 1 loop s = s + String(i); end loop; Spawn(Main);\nend entry;\n",
]
WORDS = [b"end", b"loop", b"entry Main is ", b" external;", b"&&", b"null", b"0x", b"//", b"/*", b"? :", b"end if;"]
LIMITS = Limits(slice_steps=500, budget=5000)


class QuietHost:
    """What built-ins of the language ask of a host."""

    def wall(self) -> float:
        return 1_700_000_000.0

    def octets(self, count: int) -> bytes:
        return bytes(count)

    def log(self, text: str) -> None: ...


class NoModules:
    def module(self, name: str) -> Program | None:
        return None


@given(spoilt([*PROGRAMS, *SMALL, *SMALL], WORDS))
def test_programs(text: bytes) -> None:
    try:
        program = compile_program(text, "fuzz.sppr", core_builtins())
    except CompileError as error:
        _explained(error)
        return
    if "main" in program.entries:
        _run(Task(program, "main", host=QuietHost(), loader=NoModules(), limits=LIMITS))


def _explained(error: CompileError) -> None:
    assert error.diagnostics
    assert all(each.line >= 0 and each.filename == "fuzz.sppr" for each in error.diagnostics)


def _run(task: Task) -> None:
    try:
        outcome = task.resume()
        for _ in range(200):
            match outcome:
                case Finished():
                    return
                case HostCall():
                    outcome = task.resume(None, waited=False)
                case Slice():
                    outcome = task.resume()
    except ProgramError as error:
        failed = error.message
    else:
        failed = "it waits for ever"
    finally:
        task.close()
    assert failed
