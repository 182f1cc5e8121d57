"""What is refused, what only warns, and how it is shown."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cgpl import CompileError, Severity, compile_program
from cgpl.formatter import format_program
from tests.cgpl.stage import table


def refusal(source: str | bytes) -> str:
    """The first error, with its picture."""
    with pytest.raises(CompileError) as caught:
        compile_program(source, "p.sppr", table())
    return next(str(one) for one in caught.value.diagnostics if one.severity is Severity.ERROR)


def warnings(source: str) -> list[str]:
    return [one.message for one in compile_program(source, "p.sppr", table()).warnings]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("entry Main is x = 1;", "1:21: error: the section is not closed"),
        ("entry Main { x = 1;", "1:20: error: the section is not closed"),
        ("entry Main is if x y = 1; end if; end;", "1:20: error: 'then' or '{' is expected before 'y'"),
        ("entry Main is while x y = 1; end loop; end;", "1:23: error: 'loop' or '{' is expected before 'y'"),
        ('entry Main is x = "open;\nend;', "1:19: error: the string is not closed on its line"),
        ("entry Main is /* never\nend;", "1:15: error: the comment is not closed"),
        ("entry Main is f(1; end;", "1:18: error: ')' or ',' is expected before ';'"),
        ("entry Main is x = `1`; end;", "1:19: error: unexpected character '`'"),
        ("entry Main is x = ; end;", "1:19: error: ';' is out of place"),
        ("entry Main { } }", "1:16: error: an entry, procedure, function or declaration is expected, not '}'"),
        ("\ufeffentry Main { }", "1:1: error: the file begins with a byte-order mark"),
        ("entri Main { }", "1:1: error: an entry, procedure, function or declaration is expected, not 'entri'"),
        ("entry Main is\n x = 1\n y = 2;\nend;", "2:7: error: ';' is missing before 'y'"),
        ("entry Main is x = 1 end", "1:24: error: ';' is missing before the end of the file"),
        ("entry Main is x = 3.14; end;", "1:20: error: numbers have no fraction"),
        ("entry Main is x = 12345678901234567890; end;", "1:19: error: the number does not fit into 64 bits"),
        ("entry Main is if = 1; end;", "1:18: error: '=' is out of place"),
        ("entry Main is 5; end;", "1:15: error: an expression is not a statement: assign it or call it"),
        ("entry Main is x; end;", "1:16: error: '=' or '(' is expected after 'x'"),
        ("entry Main is f() = 1; end;", "1:19: error: only a variable, an element or a key can be assigned to"),
        ("entry Main is x = m::f; end;", "1:22: error: 'm::f' can only be called: '(' is expected"),
        ("entry Main is exitif x; end;", "1:15: error: 'exitif' stands directly inside a loop only"),
        ("entry Main is loop if x then exitif x; end; end; end;", "1:30: error: 'exitif' stands directly inside"),
        ("entry Main is lenght(x); end;", "1:15: error: 'lenght' is not known"),
        ("entry Main is m::f(1); end;", "1:18: error: 'm::f' is not known"),
        ("entry Main is p(); end; procedure p() { }", "1:15: error: 'p' is used before it is defined"),
        ("procedure p() forward; entry Main is p(); end;", "1:1: error: 'p' is declared forward and never defined"),
        ("procedure p() { } procedure P() { }", "1:19: error: 'P' is defined twice"),
        ("entry a { } entry A { }", "1:13: error: entry 'A' is defined twice"),
        ("procedure p(a) forward; procedure p() { }", "1:25: error: 'p' differs from its forward declaration"),
        ("procedure p(a) { } entry Main { p(); }", "1:33: error: 'p' has 1 argument, 0 given"),
        ("procedure p() { } entry Main { x = p(); }", "1:36: error: procedure 'p' gives no value"),
        ("procedure p(a, A) { }", "1:16: error: parameter 'A' stands twice"),
        ("entry Main { x = Substring(1); }", "1:18: error: built-in 'Substring' has 3 arguments, 1 given"),
        ("entry Main { x = NewXML(); }", "1:18: error: built-in 'NewXML' has 1 to 3 arguments, 0 given"),
        ("entry Main { x = spawn Other; }", "1:18: error: there is no entry 'Other' to spawn"),
        ("const c = 1; entry Main { c = 2; }", "1:27: error: 'c' is a constant"),
        ("const c = f; entry Main { }", "1:7: error: the value of constant 'c' is not constant"),
        ("const c = 1/0; entry Main { }", "1:7: error: the value of constant 'c' is not constant"),
        ("var a = 1; entry Main { }", "1:5: error: a variable of the task has no initial value"),
        ("entry Main {" + "loop {" * 20 + "}" * 20 + "}", "error: more than 19 loops inside one another"),
        ("entry Main { x = " + "(1+" * 200 + "1" + ")" * 200 + "; }", "error: the expression nests more than 150"),
        ("entry Main {" + "if 1 {" * 80 + "}" * 80 + "}", "error: more than 60 statements inside one another"),
        (b"entry Main { x = \xff; }", "1:18: error: unexpected character of code 56575"),
        ("entry Main { x = 1;\x00 }", "1:20: error: unexpected character of code 0"),
    ],
)
def test_refused(source: str | bytes, message: str) -> None:
    assert message in refusal(source)


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        (
            "entry Main is\n\tx = NewDictionry();\nend entry;",
            "p.sppr:2:6: error: 'NewDictionry' is not known\n"
            "    \tx = NewDictionry();\n"
            "    \t    ^\n"
            "    hint: did you mean 'newdictionary'?",
        ),
        (
            "entry Main is\n  m::go(1);\nend entry;",
            "p.sppr:2:6: error: 'm::go' is not known\n"
            "      m::go(1);\n"
            "         ^\n"
            "    hint: declare it first: function m::go(...) external;",
        ),
        (
            'procedure p() is\n  SysLog("a")\nend procedure;',
            "p.sppr:2:14: error: ';' is missing before 'p'",
        ),
        (
            "functoin f() is\nend;",
            "p.sppr:1:1: error: an entry, procedure, function or declaration is expected, not 'functoin'\n"
            "    functoin f() is\n"
            "    ^\n"
            "    hint: did you mean 'function'?",
        ),
    ],
)
def test_errors_are_shown_with_their_line(source: str, shown: str) -> None:
    if "missing before 'p'" in shown:
        # The semicolon before `end` may be missing, so this is no error at all.
        compile_program(source, "p.sppr", table())
    else:
        assert refusal(source) == shown


def test_all_errors_of_a_file_are_told() -> None:
    with pytest.raises(CompileError) as caught:
        compile_program("entry Main { foo(1); bar(2); x = 1; exitif x; }", "p.sppr", table())
    assert len(caught.value.diagnostics) == 3


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("entry Main { x = y; }", "'y' is never given a value: it is null"),
        ("entry Main { Length(1); }", "the value of built-in 'Length' is dropped"),
        ('entry Main { Void(SysLog("x")); }', "built-in procedure 'SysLog' gives no value: null is used"),
        ("function f() { return 1; } entry Main { f(); }", "the value of function 'f' is dropped"),
        ("function f() { }", "function 'f' may end without 'return': the result is null then"),
        ("function f() { return; }", "a function returns a value: null is returned"),
        ("procedure p() { return(false); }", "the value returned by a procedure is dropped"),
        ("entry Main { x = GetHTTPQuery(); }", "built-in 'GetHTTPQuery' belongs to another environment (web)"),
        ("entry Main { var a; var A; }", "'A' is declared twice in this block"),
        ("var a, A; entry Main { }", "'A' is declared twice"),
    ],
)
def test_warned_about(source: str, message: str) -> None:
    assert message in warnings(source)


@pytest.mark.parametrize(
    "source",
    [
        "",
        ";;",
        "entry Main is end;",
        "entry Main is end entry;",
        "entry Main { }",
        "entry Main is for (;;) { exitif e; } end;",
        "entry Main { x = a.b.c[0].(key).Find(1) + -3 * (4 % 5); }",
        "ENTRY main IS IF NOT x THEN NULL; ELSE STOP; END IF; END ENTRY;",
        "entry Main { if a then if b { } else c = 1; end if; }",
        "entry Main { if a then if b { } elif c and then d then x = 1; else if b { } else { } end if; }",
        "function f(a) external; function f(a) { return a; }",
        "function p::f(a) { return a; } entry Main { x = f(1); x = p::f(2); }",
        "procedure min(a) { } entry Main { min(1); }",
        "entry Main { var length = 5; x = Length(length); }",
        "entry Main {" + "".join(f"if x == {n} {{ }}" if n == 0 else f"elif x == {n} {{ }}" for n in range(300)) + "}",
        "entry Main { x = " + " + ".join(["1"] * 150) + "; }",
        "entry Main {" + "loop {" * 19 + "}" * 19 + "}",
        "entry Main {" + "if 1 {" * 59 + "}" * 59 + "}",
        "entry Main { x = " + "(" * 3000 + "1" + ")" * 3000 + "; }",
    ],
)
def test_accepted(source: str) -> None:
    compile_program(source, "p.sppr", table())


_WORDS = """
    entry procedure function is end if then else elif loop while for by exitif return stop spawn var const null true and
    or xor not external forward x y f Main { } ( ) [ ] ; , . :: = += == != < + - * / % ! && || ? : 1 "s" // /* */
"""


@settings(deadline=None)
@given(st.lists(st.sampled_from(_WORDS.split()), max_size=40).map(" ".join) | st.text(max_size=80))
def test_any_text_compiles_or_is_a_compile_error(source: str) -> None:
    with suppress(CompileError):
        compile_program(source, "p.sppr", table())
    with suppress(CompileError):
        format_program(source)


@settings(deadline=None)
@given(st.binary(max_size=80))
def test_any_octets_compile_or_are_a_compile_error(source: bytes) -> None:
    with suppress(CompileError):
        compile_program(source, "p.sppr", table())
