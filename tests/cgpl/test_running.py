"""Suspension, slices and limits: no program stalls the others, whatever it does."""

from __future__ import annotations

import gc
import time
import tracemalloc

import pytest

from base.values import Dictionary
from cgpl import Finished, HostCall, Limits, ProgramCache, ProgramError, Slice, Task, compile_program
from tests.cgpl.stage import Shelf, Stage, play, start, table


def test_a_suspending_builtin_hands_its_arguments_out_and_takes_the_answer() -> None:
    task = start('function deep(n) { return n == 0 ? Ask("a", 1) : deep(n - 1); } entry Main { SysLog(deep(50)); }')
    call = task.resume()
    assert isinstance(call, HostCall)
    assert (call.name, call.args) == ("ask", ("a", 1))
    assert call.builtin is not None
    assert call.builtin.name == "Ask"
    assert task.resume("answer") == Finished()
    assert isinstance(task.host, Stage)
    assert task.host.lines == ["answer"]
    assert task.ended
    assert task.resume() == Finished()


def test_calls_inside_expressions_keep_their_order() -> None:
    task = start(
        'entry Main { x = Ask(1) + Ask(2) * Ask(3); SysLog(x); if Ask(4) && Ask(5) || Ask(6) { SysLog("in"); } }'
    )
    calls = play(task, 10, 2, 3, "x", None, "y")
    assert [call.args[0] for call in calls] == [1, 2, 3, 4, 5, 6]
    assert isinstance(task.host, Stage)
    assert task.host.lines == ["#16", "in"]


def test_a_compound_assignment_evaluates_its_target_once() -> None:
    task = start("entry Main { a = NewArray(); a[0] = 1; a[Ask()] += Ask(); SysLog(a); }")
    assert len(play(task, 0, 5)) == 2
    assert isinstance(task.host, Stage)
    assert task.host.lines == ["(#6)"]


def test_a_failed_call_is_a_program_exception_at_its_place() -> None:
    task = start("entry Main {\n  x = 1 + Ask(2);\n}")
    task.resume()
    with pytest.raises(ProgramError) as caught:
        task.fail("no such thing")
    assert (caught.value.message, caught.value.line, caught.value.column) == ("no such thing", 2, 11)
    assert task.ended


def test_a_hang_up_drops_the_program_where_it_waits() -> None:
    task = start('entry Main { Ask(); SysLog("never"); }')
    task.resume()
    task.close()
    task.close()
    assert task.ended
    assert task.resume() == Finished()
    assert isinstance(task.host, Stage)
    assert task.host.lines == []


@pytest.mark.parametrize(
    "source",
    [
        "entry Main { loop { x = 1; } }",
        "entry Main { while true { } }",
        "entry Main { for (;;) { if x { } } }",
        "procedure p(n) { if n > 0 { p(n - 1); p(n - 1); } } entry Main { p(90); }",
        "function f() { return 1; } entry Main { loop { x = f(); } }",
    ],
)
def test_a_program_that_loops_for_ever_gives_way_and_is_stopped(source: str) -> None:
    task = start(source, limits=Limits(slice_steps=1000, budget=20_000))
    slices = [0]
    with pytest.raises(ProgramError, match="20000 steps without waiting"):
        run_out(task, slices)
    assert 5 <= slices[0] <= 25
    assert task.ended


def test_a_loop_of_calls_that_never_wait_is_stopped_too() -> None:
    task = start("entry Main { loop { ReadInput(0); } }", limits=Limits(slice_steps=1000, budget=20_000))
    with pytest.raises(ProgramError, match="without waiting"):
        run_out(task)


def test_slices_between_instant_calls_count_as_well() -> None:
    source = "entry Main { loop { for (i = 0; i < 2000; i += 1) { } ReadInput(0); } }"
    task = start(source, limits=Limits(slice_steps=1000, budget=50_000))
    with pytest.raises(ProgramError, match="without waiting"):
        run_out(task)


@pytest.mark.parametrize(
    "heavy",
    [
        'FindRegEx(long, "(0|1)*1(0|1){9}x")',
        "Find(array, 5)",
        "ObjectToString(array)",
        "ToObject(ObjectToString(array))",
        "ObjectToJSON(array)",
        "long + long + long",
    ],
)
def test_heavy_builtins_give_way_in_time(heavy: str) -> None:
    task = start(
        f"""entry Main {{
          array = NewArray(); long = "01";
          for (i = 0; i < 20000; i += 1) {{ array[i] = "element"; }}
          for (i = 0; i < 12; i += 1) {{ long += long; }}
          Ask();
          loop {{ y = long; x = {heavy}; }}
        }}"""
    )
    while not isinstance(task.resume(), HostCall):
        pass
    begun = time.process_time()
    assert isinstance(task.resume(), Slice)
    assert time.process_time() - begun < 0.5


def run_out(task: Task, slices: list[int] | None = None) -> None:
    """Resume without ever having waited."""
    outcome = task.resume()
    for _ in range(2000):
        if slices is not None:
            slices[0] += 1
        outcome = task.resume() if isinstance(outcome, Slice) else task.resume(None, waited=False)


def test_a_program_that_waits_may_run_for_ever() -> None:
    task = start("entry Main { loop { ReadInput(5); n += 1; } }", limits=Limits(slice_steps=1000, budget=5_000))
    for _ in range(2000):
        assert isinstance(task.resume(), HostCall)


def test_the_default_budget_stops_within_seconds_and_slices_are_short() -> None:
    task = start("entry Main { loop { x = x + 1; } }")
    begun = time.process_time()
    for _ in range(20):
        assert isinstance(task.resume(), Slice)
    assert (time.process_time() - begun) / 20 < 0.05


def test_an_unknown_entry_is_told() -> None:
    with pytest.raises(ProgramError, match="there is no entry 'other'"):
        start("entry Main { }", "other")


def test_a_module_that_does_not_compile_is_a_program_exception() -> None:
    task = start("function f() external; entry Main { x = f(); }", modules={"f": "function f( { }"})
    with pytest.raises(ProgramError, match=r"module 'f' does not compile: f.sppi:1:13: error"):
        task.resume()


def test_programs_are_cached_by_their_content() -> None:
    cache = ProgramCache(table(), capacity=2)
    first = cache.compile(b"entry Main { }", "a.sppr")
    assert cache.compile(b"entry Main { }", "a.sppr") is first
    assert cache.compile(b"entry Main { } ", "a.sppr") is not first
    cache.compile(b"entry Other { }", "a.sppr")
    assert cache.compile(b"entry Main { }", "a.sppr") is not first


def test_tasks_of_one_program_share_nothing_but_its_code() -> None:
    program = compile_program("var n; entry Main { n += Ask(); n = 5; Ask(n); }", "p", table())
    tasks = [Task(program, host=Stage(), vars=Dictionary()) for _ in range(3)]
    for task in tasks:
        task.resume()
        call = task.resume(1)
        assert isinstance(call, HostCall)
        assert call.args == (5,)
    assert tasks[0].vars is not tasks[1].vars


def test_a_thousand_waiting_tasks_take_less_than_two_megabytes() -> None:
    source = "function ask(n) { var a, b, c; return n == 0 ? ReadInput(60) : ask(n - 1); } entry Main { x = ask(2); }"
    program = compile_program(source, "p", table())
    host, shelf = Stage(), Shelf({})
    gc.collect()
    tracemalloc.start()
    try:
        tasks = [Task(program, host=host, loader=shelf) for _ in range(1000)]
        for task in tasks:
            assert isinstance(task.resume(), HostCall)
        used, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert used < 2_000_000
    for task in tasks:
        task.close()
