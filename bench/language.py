"""Figures of the language: statements, suspension, memory of a waiting task, compilation.

Only figures, no pass or fail. All of it is one process's CPU time.
"""

from __future__ import annotations

import gc
import time
import tracemalloc

from cgpl import Builtin, Finished, HostCall, Program, Task, compile_program, roster

_ROUNDS = 5
_TURNS = 200_000
_STATEMENTS_PER_TURN = 4  # the two assignments, the test of the loop, the `if`
_RESUMES = 100_000
_TASKS = 1_000

_LOOP = f"""
entry Main is
  i = 0; total = 0;
  while i < {_TURNS} loop
    i = i + 1;
    total = total + i * 2;
    if total > 1000000 then total = 0; end if;
  end loop;
end entry;
"""
_CALLS = """
function inner(n) is return n + 1; end function;
entry Main is
  for i = 0 while i < 100000 by i += 1 loop x = inner(i); end loop;
end entry;
"""
_WAIT = """
function ask(n) is return n == 0 ? ReadInput(60) : ask(n - 1); end function;
entry Main is loop x = ask(2); end loop; end entry;
"""
_MENU = """
procedure menu{n}(key) {{
  if (key == "1") {{ PlayFile("one"); }} elif (IsString(key)) {{ x = key + "{n}"; }}
}}
"""


class _Bench:
    """A host that needs nothing."""

    def wall(self) -> float:
        return 0.0

    def octets(self, count: int) -> bytes:
        return bytes(count)

    def log(self, text: str) -> None:
        """Nobody reads it."""


def run() -> list[tuple[str, float, str]]:
    return [
        ("CG/PL simple statements", _STATEMENTS_PER_TURN * _TURNS / _seconds(_LOOP) / 1e6, "M/s"),
        ("CG/PL calls of a section", 100_000 / _seconds(_CALLS) / 1e6, "M/s"),
        ("CG/PL suspend and resume, three calls deep", _suspension(), "µs"),
        ("CG/PL waiting task", _memory(), "bytes"),
        *_compilation(),
    ]


def _program(source: str) -> Program:
    read = Builtin("ReadInput", "F", 1, 1, suspends=True)
    return compile_program(source, "bench.sppr", roster.table("pbx", [read]))


def _seconds(source: str) -> float:
    """The best of some runs from start to end."""
    program = _program(source)
    best = float("inf")
    for _ in range(_ROUNDS):
        task = Task(program, host=_Bench())
        begun = time.process_time()
        while not isinstance(task.resume(), Finished):
            pass
        best = min(best, time.process_time() - begun)
    return best


def _suspension() -> float:
    task = Task(_program(_WAIT), host=_Bench())
    task.resume()
    begun = time.process_time()
    for _ in range(_RESUMES):
        task.resume("1")
    spent = time.process_time() - begun
    task.close()
    return spent / _RESUMES * 1e6


def _memory() -> float:
    program, host = _program(_WAIT), _Bench()
    gc.collect()
    tracemalloc.start()
    tasks = [Task(program, host=host) for _ in range(_TASKS)]
    waiting = sum(isinstance(task.resume(), HostCall) for task in tasks)
    used, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    for task in tasks:
        task.close()
    return used / waiting


def _compilation() -> list[tuple[str, float, str]]:
    sections = 100
    source = "".join(_MENU.format(n=n) for n in range(sections))
    _program("entry Main { }")
    best = float("inf")
    for _ in range(_ROUNDS):
        begun = time.process_time()
        _program(source)
        best = min(best, time.process_time() - begun)
    return [(f"CG/PL compilation of {3 * sections} lines ({len(source) // 1024} KB)", best * 1e3, "ms")]


if __name__ == "__main__":
    for name, figure, unit in run():
        print(f"{name}: {figure:.2f} {unit}")
