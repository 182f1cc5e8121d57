"""Whole programs, of the kind that people bring along, compile as they are and keep their meaning when formatted."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from base.values import Dictionary, Value
from cgpl import Builtin, Finished, HostCall, Task, compile_program, roster
from cgpl.command import app
from cgpl.diagnostics import SourceText
from cgpl.formatter import format_program
from cgpl.parser import parse
from tests.cgpl.stage import Shelf, Stage, play

PROGRAMS = sorted((Path(__file__).parent / "programs").glob("*.sppr"))
STOCK = sorted((Path(__file__).parents[2] / "apps").glob("*/*.spp?"))


@pytest.mark.parametrize("path", PROGRAMS + STOCK, ids=lambda path: path.name)
def test_programs_compile_and_format(path: Path) -> None:
    compile_program(path.read_bytes(), path.name, roster.table("pbx"))
    formatted = format_program(path.read_bytes())
    assert format_program(formatted) == formatted
    compile_program(formatted, path.name, roster.table("pbx"))
    comments = [line for line in path.read_text().splitlines() if line.strip().startswith("//")]
    assert all(comment.strip() in formatted for comment in comments)


def host(*answered: str) -> list[Builtin]:
    """Built-ins of the telephone that the test answers."""
    table = roster.table("pbx")
    found = [table.find(name) for name in answered]
    return [
        Builtin(one.name, one.kind, one.min_args, one.max_args, suspends=True, environment="pbx")
        for one in found
        if one
    ]


def test_the_menu_takes_a_key_and_transfers() -> None:
    path = Path(__file__).parent / "programs" / "menu.sppr"
    built = host("AcceptCall", "PlayFile", "ReadInput", "TransferCall", "MyDomain", "ClearDTMF", "IsDisconnectEvent")
    program = compile_program(path.read_bytes(), "menu.sppr", roster.table("pbx", built))
    modules = Shelf({"selectlanguage": "function choose(offered) { return offered[1]; }"})
    task = Task(program, host=Stage(), loader=modules)
    heard: list[Value] = []
    keys: list[Value] = ["7", "2"]
    answer: Value = None
    while not isinstance(outcome := task.resume(answer), Finished):
        assert isinstance(outcome, HostCall)
        answer = None
        if outcome.name == "playfile":
            heard.append(outcome.args[0])
        elif outcome.name == "readinput":
            answer = keys.pop(0)
        elif outcome.name == "transfercall":
            heard.append(("to", *outcome.args)[1])
    once = ["receptionprompt", "forsales", "press", "1", "fortechsupport", "press", "2", "foroperator", "press", "0"]
    assert heard == [*once, "InvalidEntry", *once, "tryingextension", "helpdesk@example.com"]
    assert task.language == "french"


def test_spawn_hands_the_entry_and_the_value_to_the_host() -> None:
    path = Path(__file__).parent / "programs" / "relay.sppr"
    built = host("RejectCall", "IsTask")
    task = Task(compile_program(path.read_bytes(), "relay.sppr", roster.table("pbx", built)), host=Stage())
    call = task.resume()
    assert isinstance(call, HostCall)
    assert (call.name, call.args[0]) == ("spawn", "caller")
    assert isinstance(call.args[1], Dictionary)
    assert call.program.entries.keys() == {"caller", "main"}
    asked = task.resume(None)
    assert isinstance(asked, HostCall)
    assert (asked.name, asked.args) == ("istask", (None,))
    rejected = task.resume(None)
    assert isinstance(rejected, HostCall)
    assert (rejected.name, rejected.args) == ("rejectcall", (500,))


names = st.sampled_from(["alpha", "Beta", "c3"])
literals = st.integers(0, 99).map(str) | st.sampled_from(['"text"', '"a" "b"', "null", "true", "false"])


_OPERATORS = ["+", "-", "*", "/", "%", "<", "==", "!=", "&&", "||", "&", "|", "^", "and", "or", "xor"]


def _expressions(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    operators = st.sampled_from([*_OPERATORS, "and then", "or else"])
    return (
        st.tuples(inner, operators, inner).map(lambda t: f"({t[0]}) {t[1]} ({t[2]})")
        | st.tuples(inner, inner, inner).map(lambda t: f"({t[0]}) ? ({t[1]}) : ({t[2]})")
        | inner.map(lambda e: f"not ({e})")
        | inner.map(lambda e: f"-({e})")
        | st.tuples(inner, inner).map(lambda t: f"({t[0]})[{t[1]}].key.({t[0]})")
        | st.tuples(inner, inner).map(lambda t: f"({t[0]}).Min({t[1]})")
    )


expressions = st.recursive(names | literals, _expressions, max_leaves=8)


def _statements(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    blocks = st.lists(inner, min_size=1, max_size=3).map("\n".join)
    return (
        st.tuples(expressions, blocks, blocks).map(lambda t: f"if {t[0]} then {t[1]}\n else {t[2]}\n end if;")
        | st.tuples(expressions, blocks, blocks).map(
            lambda t: f"if ({t[0]}) {{ {t[1]}\n }} elif ({t[0]}) {{ {t[2]}\n }}"
        )
        | st.tuples(expressions, blocks).map(lambda t: f"while {t[0]} loop {t[1]} // end of turn\n exitif 1; end loop;")
        | st.tuples(expressions, blocks).map(lambda t: f"for (var i = 0; {t[0]}; i += 1) {{ {t[1]}\n exitif i > 2; }}")
    )


simple = st.tuples(names, st.sampled_from(["=", "+=", "|="]), expressions).map(
    lambda t: f"{t[0]} {t[1]} {t[2]}; // set"
)
bodies = st.lists(st.recursive(simple, _statements, max_leaves=6), min_size=1, max_size=4).map("\n".join)


@settings(deadline=None)
@given(bodies)
def test_formatting_is_stable_and_keeps_the_code(body: str) -> None:
    source = f"entry Main is /* head */ {body}\nend entry;"
    formatted = format_program(source)
    assert format_program(formatted) == formatted
    assert _shape(source) == _shape(formatted)


def _shape(source: str) -> str:
    """The tree without its places."""
    return re.sub(r"\b(at|end)=\d+", "", repr(parse(SourceText("p", source)).items))


def test_comments_keep_their_places() -> None:
    source = (
        "// head\nfunction f(a) external; // outside\n\n\nentry Main is   // starts\n  x=1;  // one\n"
        "  /* before */ if x then // when\n  y = 2;\n\n\n  // lonely\n  end if; // done\nend entry; // over\n// tail\n"
    )
    assert format_program(source) == (
        "// head\nfunction f(a) external;  // outside\n\nentry Main is\n  // starts\n  x = 1;  // one\n"
        "  /* before */\n  if x then  // when\n    y = 2;\n    // lonely\n  end if;  // done\n"
        "end entry;  // over\n// tail\n"
    )


def test_the_command_tells_by_its_exit_status(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.sppr", tmp_path / "bad.sppr"
    good.write_text("function gone(a) external; entry Main is x = gone(1); y = GetHTTPQuery(); end entry;")
    bad.write_text("entry Main is x = ; end entry;")
    runner = CliRunner()
    checked = runner.invoke(app, ["check", str(good)])
    assert checked.exit_code == 0
    assert "module 'gone' is not beside the program" in checked.output
    assert "belongs to another environment (web)" in checked.output
    assert runner.invoke(app, ["check", str(good), str(bad)]).exit_code == 1
    assert runner.invoke(app, ["check", "--json", str(bad)]).exit_code == 1
    (tmp_path / "GONE.sppi").write_text("function gone(a) is return a; end;")
    assert "not beside" not in runner.invoke(app, ["check", str(good)]).output


def test_the_command_runs_and_formats(tmp_path: Path) -> None:
    path = tmp_path / "hello.sppr"
    path.write_text('entry Main { SysLog("hello " + Vars().startParameter[0]); }')
    runner = CliRunner()
    ran = runner.invoke(app, ["run", str(path), "--parameter", "(world)"])
    assert (ran.exit_code, ran.output) == (0, "hello world\n")
    assert runner.invoke(app, ["format", "--check", str(path)]).exit_code == 1
    assert runner.invoke(app, ["format", str(path)]).exit_code == 0
    assert runner.invoke(app, ["format", "--check", str(path)]).exit_code == 0
    path.write_text("entry Main { x = 1 / 0; }")
    failed = runner.invoke(app, ["run", str(path)])
    assert failed.exit_code == 1
    assert "division by zero" in failed.output


def test_play_answers_every_call() -> None:
    task = Task(compile_program("entry Main { Say(1); }", "p", roster.table("pbx", [SAY])), host=Stage())
    assert [call.args for call in play(task)] == [(1,)]


SAY = Builtin("Say", "P", 1, 1, suspends=True)
