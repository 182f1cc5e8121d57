"""Every statement and operator, in both dialects."""

from __future__ import annotations

import pytest

from base.values import FUTURE, PAST, Dictionary, NetAddress, TimeStamp, Value, equal
from cgpl import ProgramError
from tests.cgpl.stage import evaluate, logged, play, start

MAX = 2**63 - 1


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        # literals
        ("12", 12),
        ("-9223372036854775807 - 1", -(2**63)),
        ('"a" "b"\n"c"', "abc"),
        ('"\\"\\\\\\r\\n\\e\\t\\065"', '"\\\r\n\n\tA'),
        ("\"\\u'e9'\"", "é"),
        ('"\\195\\169"', "é"),
        ("true", "YES"),
        ("TRUE", "YES"),
        ("false", None),
        ("Null", None),
        # arithmetic
        ("2 + 3 * 4", 14),
        ("(2 + 3) * 4", 20),
        ("-2+1", -1),
        ("- -3", 3),
        ("+3", 3),
        ('-"3"', None),
        ("+null", None),
        ("7 / 2", 3),
        ("-7 / 2", -3),
        ("7 / -2", -3),
        ("-7 / -2", 3),
        ("7 % 3", 1),
        ("-7 % 3", -1),
        ("7 % -3", 1),
        ("9223372036854775807 + 1", -(2**63)),
        ("9223372036854775807 * 2", -2),
        ("(-9223372036854775807 - 1) / -1", -(2**63)),
        ("10 - 4 - 3", 3),
        ("2 * 3 % 4", 2),
        ('"a" + "b"', "ab"),
        ('"a" + 1', None),
        ('1 + "a"', None),
        ("null + 1", None),
        ('"3" * 2', None),
        ("Date(1) + 5", TimeStamp(86405)),
        ("Date(1) - 5", TimeStamp(86395)),
        ("Date(2) - Date(1)", 86400),
        # comparison
        ("1 < 2", "YES"),
        ("2 < 1", None),
        ("2 <= 2", "YES"),
        ("3 >= 4", None),
        ("4 > 3", "YES"),
        ('"a" < "b"', "YES"),
        ('"b" <= "a"', None),
        ('"B" == "b"', None),
        ('1 < "2"', None),
        ("null < 1", None),
        ("Date(1) < Date(2)", "YES"),
        ('IPAddress("1.2.3.4") < IPAddress("1.2.3.10")', "YES"),
        ("1 == 1", "YES"),
        ('"1" == 1', None),
        ('"1" != 1', "YES"),
        ("null == null", "YES"),
        ("null == false", "YES"),
        ('null == ""', None),
        ('ToObject("(a,(b,#1))") == ToObject("(a,(b,#1))")', "YES"),
        ('ToObject("{a=b;}") != ToObject("{a=c;}")', "YES"),
        ('IPAddress("1.2.3.4") == IPAddress("[1.2.3.4]")', "YES"),
        # logic
        ("not null", "YES"),
        ("!1", None),
        ('not ""', None),
        ("!0", None),
        ("1 and 2", "YES"),
        ("1 & null", None),
        ("null or 2", "YES"),
        ("null | null", None),
        ("1 xor null", "YES"),
        ("1 ^ 2", None),
        ("5 and then 6", 6),
        ("null && 6", None),
        ("5 or else 6", 5),
        ("null || 6", 6),
        ("null || null", None),
        # one level for all logic, from left to right
        ("1 or 1 and null", None),
        ("1 || 1 && null", None),
        ("null && 1 || 2", 2),
        ("1 < 2 && 2 < 3", "YES"),
        # choice
        ("1 ? 2 : 3", 2),
        ("null ? 2 : null ? 3 : 4", 4),
        ("1 ? null ? 5 : 6 : 7", 6),
        ("0 ? 1 : 2", 1),
    ],
)
def test_operators(expression: str, value: Value) -> None:
    assert equal(evaluate(expression), value)
    kept = f"x = {expression};"
    assert (evaluate("x ? 1 : 0", kept) == 1) is (value is not None)
    assert evaluate("r", f"if {expression} then r = 1; else r = 2; end if;") == (2 if value is None else 1)
    assert evaluate("r", "if {} { r = 1 } else { r = 2 }".replace("{}", expression, 1)) == (2 if value is None else 1)


@pytest.mark.parametrize(
    ("before", "expression", "value"),
    [
        # indexing
        ('a = ToObject("(x,y)");', "a[0]", "x"),
        ('a = ToObject("(x,y)");', "a[2]", None),
        ('a = ToObject("(x,y)");', "a[-1]", None),
        ('a = ToObject("(x,y)");', 'a["1"]', "y"),
        ('a = ToObject("(x,y)"); a[1] = "z"; a[2] = 5;', "a", ["x", "z", 5]),
        ('d = ToObject("{k=v;l=w;}");', "d[1]", "l"),
        ('d = ToObject("{k=v;l=w;}");', "d[2]", None),
        ("", '"abc"[1]', "b"),
        ("", 'Convert("AQI=","base64")[1]', 2),
        ("", "null[0]", None),
        ("", "5[0]", None),
        # keys
        ("d = NewDictionary(); d.Key = 1;", "d.key", None),
        ("d = NewDictionary(); d.Key = 1;", "d.Key", 1),
        ('d = NewDictionary(); d.("Call-ID") = 1; d.("") = 2;', 'd.("Call-ID") + d.("")', 3),
        ("d = NewDictionary(); d.(32) = 1;", 'd.("32")', 1),
        ("d = NewDictionary(); d.a = 1; d.a = null;", "Length(d)", 0),
        ("", "nothing.at[0].(all)", None),
        ("", '"text".key', None),
        # compound assignment
        ("x = 7; x += 3;", "x", 10),
        ("x = 7; x -= 3;", "x", 4),
        ("x = 7; x *= 3;", "x", 21),
        ("x = 7; x /= 3;", "x", 2),
        ("x = 7; x %= 3;", "x", 1),
        ("x = 7; x |= null;", "x", "YES"),
        ("x = 7; x &= null;", "x", None),
        ('x = "a"; x += "b";', "x", "ab"),
        ("a = NewArray(); a[0] = 5; a[0] += 1;", "a[0]", 6),
        ('d = NewDictionary(); d.k = 5; d.k -= 1; d.("k") *= 3;', "d.k", 12),
        # references
        ("a = NewArray(); b = a; b[0] = 1;", "a[0]", 1),
        ("a = NewArray(); b = Copy(a); b[0] = 1;", "Length(a)", 0),
        # declarations and scopes
        ("var a, b = 2;", "b", 2),
        ("x = 1; if x then var x = 2; x = 3; end if;", "x", 1),
        ("if true then x = 5; end if;", "x", 5),
        ("const five = 5, six = five + 1;", "six", 6),
        ("const now = GMTTime();", "IsDate(now)", "YES"),
        ("MixedCase = 1; mixedcase += 1;", "MIXEDCASE", 2),
        ("_x = 3;", "_x", 3),
        # branches
        ("x = 2; if x == 1 then r = 1; elif x == 2 then r = 2; else r = 3; end;", "r", 2),
        ("x = 9; if x == 1 { r = 1; } elif x == 2 { r = 2; } else { r = 3; }", "r", 3),
        ("if (1) { r = 1 }", "r", 1),
        ("if !1 then null; end if;", "1", 1),
        # loops
        ("i = 0; loop i += 1; exitif i == 5; end loop;", "i", 5),
        ("i = 0; loop { i += 1; exitif (i == 5) }", "i", 5),
        ("i = 0; while i < 7 loop i += 1; end;", "i", 7),
        ("i = 0; while (i < 7) { i += 1; exitif i > 3; }", "i", 4),
        ("n = 0; for i = 0 while i < 4 by i += 1 loop n += i; end loop;", "n", 6),
        ("n = 0; for i = 0 while i < 4 by i+= 1 loop n += i; end;", "n", 6),
        ("n = 0; for (var i = 0; i < 4; i += 1) { n += i; }", "n", 6),
        ("n = 0; for (;;) { n += 1; exitif n > 2; }", "n", 3),
        ("n = 0; for loop n += 1; exitif n > 2; end loop;", "n", 3),
        ("n = 0; for while n < 3 loop n += 1; end loop;", "n", 3),
        ("i = 5; for (var i = 0; i < 2; i += 1) { null; }", "i", 5),
        # the variable of a block is new in each turn
        ("n = 0; for (i = 0; i < 3; i += 1) { var x; if x == null { n += 1 } x = 1; }", "n", 3),
        # methods
        ('s = "AbC";', "s.ToLowerCase().Length()", 3),
        ("a = NewArray(); a.AddElement(4); a.addElement(5);", "a.Find(5)", 1),
        ("", '((1)).String() + "!"', "1!"),
    ],
)
def test_statements(before: str, expression: str, value: Value) -> None:
    assert equal(evaluate(expression, before), value)


def test_only_the_chosen_side_is_evaluated() -> None:
    assert logged(
        """
        function noisy(x) { SysLog(x); return x; }
        entry Main {
          a = true ? noisy("t") : noisy("f");
          b = null && noisy("and");
          c = "kept" || noisy("or");
          d = null & noisy("both");
          if null && noisy("test-and") { }
          if 1 || noisy("test-or") { }
          if null | noisy("test-both") { }
        }
        """
    ) == ["t", "both", "test-both"]


def test_sections_recursion_forward_and_parameters() -> None:
    assert logged(
        """
        function odd(n) forward;
        function even(n) is if n == 0 then return true; end if; return odd(n - 1); end function;
        function odd(n) { if n == 0 { return null; } return even(n - 1); }
        procedure count(n) is n += 1; SysLog(String(n)); end procedure;
        function fac(n) is return n < 2 ? 1 : n * fac(n - 1); end;
        entry Main is
          SysLog(even(10)); SysLog(odd(10)); x = 1; count(x); SysLog(String(x)); SysLog(fac(5));
        end entry;
        """
    ) == ["YES", "#NULL#", "2", "1", "#120"]


def test_task_variables_and_constants_are_shared_by_the_sections_of_a_file() -> None:
    assert logged(
        """
        var total, name;
        const step = 2, word = "w" "x";
        procedure more() { total += step; }
        entry Main { total = 1; more(); more(); SysLog(total); SysLog(word); SysLog(name); }
        """
    ) == ["#5", "wx", "#NULL#"]


def test_stop_ends_the_task_from_any_section() -> None:
    assert logged('procedure p() { stop; } entry Main { SysLog("a"); p(); SysLog("b"); }') == ["a"]


def test_external_sections_of_all_spellings() -> None:
    modules = {
        "twice": "function twice(n) is return n * 2; end function;",
        "tools": "var kept; procedure tools::keep(v) { kept = v; } function kept() { return kept; }",
        "tell": 'procedure tell(v) { SysLog("told " + v); }',
    }
    source = """
        function Twice(n) external;
        procedure tools::keep(v) external;
        function tools::kept() external;
        entry Main is
          SysLog(twice(4));
          tools::keep("it"); SysLog(tools::kept());
          "again".tools::keep(); SysLog(Tools::KEPT());
          ProcCall("tools::keep", "named"); SysLog(FuncCall("tools::kept"));
          SysLog(FuncCall("twice", 21));
          ProcCall("Tell", "x");
        end entry;
    """
    assert logged(source, modules=modules) == ["#8", "it", "again", "named", "#42", "told x"]


@pytest.mark.parametrize(
    ("statements", "message"),
    [
        ("x = 1 / 0;", "division by zero"),
        ("x = 5; x %= 0;", "division by zero"),
        ('x = "a"; x.k = 1;', "a string has no keys to assign to"),
        ("x.k = 1;", "null has no keys to assign to"),
        ("x[0] = 1;", "null has no elements to assign to"),
        ("d = NewDictionary(); d[0] = 1;", "a dictionary has no elements to assign to"),
        ("a = NewArray(); a[1] = 1;", "index 1 is outside the array of 0 elements"),
        ("a = NewArray(); a[-1] = 1;", "index -1 is outside the array of 0 elements"),
        ('a = NewArray(); a["x"] = 1;', "a string is no index"),
        ("d = NewDictionary(); d.(GMTTime()) = 1;", "a timestamp is no key"),
        ("AddElement(5, 1);", "an element cannot be added to a number"),
        ("x = Invert(null);", "the argument is null, not an array"),
        ("x = missing::f();", "there is no module 'missing'"),
        ("x = two(1);", "'two::two' has 2 parameters, 1 given"),
        ('x = FuncCall("two::three");', "module 'two' has no section 'three'"),
        ("x = FuncCall(5);", "the name of the section to call is not a string"),
        ('ProcCall("two", 1, 2);', "'two::two' is a function, not a procedure"),
        ("down(1);", "more than 100 calls inside one another"),
        ('s = "x"; loop s += s; end loop;', "the string grows too long"),
        ("a = NewArray(); a[0] = a; SysLog(a);", "the value is nested too deeply to be written"),
    ],
)
def test_program_exceptions_tell_the_place(statements: str, message: str) -> None:
    declared = "function missing::f() external; function two(a) external; procedure down(n) { down(n + 1); }"
    task = start(
        f"{declared}\nentry Main is\n {statements}\nend entry;", modules={"two": "function two(a,b) is return a; end;"}
    )
    with pytest.raises(ProgramError) as caught:
        play(task)
    error = caught.value
    assert error.message == message
    assert error.file == "test.sppr"
    if "calls inside" not in message:
        assert error.line == 3
        assert error.section == "main"
        assert 0 < error.column <= len(statements) + 1
    assert task.ended


def test_a_fault_in_a_module_names_all_places() -> None:
    task = start(
        "function outer(a) external;\nentry Main is\n  x = outer(0);\nend entry;",
        modules={
            "outer": "function inner(a) is\n  return 1 / a;\nend;\nfunction outer(a) is\n  return inner(a);\nend;"
        },
    )
    with pytest.raises(ProgramError) as caught:
        play(task)
    places = [(entry.filename, entry.line, entry.section) for entry in caught.value.trace]
    assert places == [("outer.sppi", 2, "inner"), ("outer.sppi", 5, "outer"), ("test.sppr", 3, "main")]
    assert str(caught.value).splitlines() == [
        "outer.sppi:2:12: division by zero",
        "      return 1 / a;",
        "               ^",
        "    called from outer at outer.sppi:5",
        "    called from main at test.sppr:3",
    ]


def test_line_ends_of_all_kinds() -> None:
    assert logged(b"// one\rentry Main is // two\r  x = 1; // three\r  SysLog(x);\rend entry;\r") == ["#1"]
    assert logged(b"entry Main is\r\n SysLog(1);\r\nend;\r\n") == ["#1"]


def test_octets_that_are_no_text_survive() -> None:
    assert logged(b'entry Main { s = "\xff\xfe"; SysLog(Length(s)); }') == ["#2"]


def test_special_timestamps_and_addresses() -> None:
    assert evaluate("Date(0)") == PAST
    assert evaluate("Date(-1)") == FUTURE
    assert evaluate('IPAddress("[10.1.2.3]:5060")') == NetAddress("10.1.2.3", 5060)
    assert evaluate("NewDictionary()") == Dictionary()
