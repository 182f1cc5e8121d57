"""The built-ins that need no host."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from base.values import FUTURE, PAST, Dictionary, NetAddress, TimeStamp, Value, equal
from cgpl import ProgramError, ProgramFault
from cgpl.builtins.regex import Pattern, PatternError
from tests.cgpl.stage import evaluate, logged, play, start


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        # any value
        ("Same(null, false)", "YES"),
        ("Same(true, 1 < 2)", "YES"),
        ("Same(NewArray(), NewArray())", None),
        ("Copy(null)", None),
        ('Length("aé")', 3),
        ('Length(ToObject("(a,b)"))', 2),
        ('Length(ToObject("{a=b;}"))', 1),
        ("Length(null)", 0),
        ("Length(5)", 0),
        ("Min(2, 1)", 1),
        ("Max(2, 1)", 2),
        ('Min("b", "a")', "a"),
        ("ObjectClass(1)", "STNumber"),
        ('ObjectClass("")', "STString"),
        ("ObjectClass(GMTTime())", "STDate"),
        ("ObjectClass(EmptyData())", "STData"),
        # strings
        ('IsString("")', "YES"),
        ("IsString(1)", None),
        ("String(12)", "12"),
        ("String(null)", None),
        ("String(Date(1))", "02-01-1970_00:00:00"),
        ('String(IPAddress("1.2.3.4:5060"))', "[1.2.3.4]:5060"),
        ('String(ToObject("(a,\\"b c\\")"))', '(a, "b c")'),
        ('String(Convert("aGk=","base64"))', "hi"),
        ('Substring("abcdef", 2, 3)', "cde"),
        ('Substring("abcdef", 4, 9)', "ef"),
        ('Substring("abcdef", 9, 1)', ""),
        ('Substring("abcdef", -1, 2)', "ef"),
        ('Substring("abcdef", -2, 2)', "de"),
        ('Substring("abcdef", -6, 3)', "a"),
        ('Substring("abc", 0, -1)', None),
        ("Substring(5, 0, 1)", None),
        ('Substring("aéb", 1, 2)', "é"),
        ('Substring("é", 0, 1) + Substring("é", 1, 1)', "é"),
        ('Length(Substring("é", 0, 1))', 1),
        ('Range("aéb", 1, 1)', "é"),
        ('FindSubstring("A forest for all", "for")', 2),
        ('FindSubstring("A forest for all", "for", 3)', 9),
        ('FindSubstring("A forest for all", "for", -3)', 9),
        ('FindSubstring("A forest for all", "for", -5)', 2),
        ('FindSubstring("x.", ".", -1)', 1),
        ('FindSubstring("é!", "!")', 2),
        ('FindSubstring("abc", "x")', -1),
        ("EOL()", "\n"),
        ("CRLF()", "\r\n"),
        ('ToUpperCase("aé")', "AÉ"),
        ('ToLowerCase("AÉ")', "aé"),
        ('IsDigit("7")', "YES"),
        ('IsDigit("77")', None),
        ('IsWhiteSpaces(" \\t\\r\\n")', "YES"),
        ('IsWhiteSpaces("a")', None),
        ('EmailDomainPart("a@b.c")', "b.c"),
        ('EmailDomainPart("a")', None),
        ('EmailUserPart("a@b.c")', "a"),
        ('EmailUserPart("a")', "a"),
        ("EmailUserPart(5)", None),
        # numbers, addresses, data
        ("IsNumber(0)", "YES"),
        ('Number("123#")', 123),
        ('Number("-5")', -5),
        ('Number("x")', 0),
        ("Number(null)", 0),
        ("RandomNumber()", int.from_bytes(bytes(range(1, 9))) >> 1),
        ('IPAddress("nonsense")', None),
        ('IPAddress("[::1]:5060")', NetAddress("::1", 5060)),
        ("Length(RandomData(16))", 16),
        ("IsData(EmptyData())", "YES"),
        # dates
        ("GMTTime()", TimeStamp(1_700_000_000)),
        ("Date(0)", PAST),
        ("Date(-1)", FUTURE),
        ('Date("01-02-2024_03:04:05")', TimeStamp(1706756645)),
        ('Date("01-02-2024")', TimeStamp(1706745600)),
        ('Date("Thu, 01 Feb 2024 03:04:05 +0000")', TimeStamp(1706756645)),
        ('Date("soon")', None),
        ("Year(GMTTime())", 2023),
        ("Year(Date(0))", 0),
        ("Year(Date(-1))", 9999),
        ("Month(GMTTime())", "Nov"),
        ("Month(3)", "Mar"),
        ("MonthNum(GMTTime())", 11),
        ("MonthDay(GMTTime())", 14),
        ("WeekDay(GMTTime())", "Tue"),
        ("YearDay(GMTTime())", 318),
        ("TimeOfDay(GMTTime())", 80000),
        ("DateNumber(GMTTime())", 19675),
        ("Hour(GMTTime())", 22),
        ("Year(5)", None),
        ("DateByMonthDay(2024, 2, 29)", TimeStamp(1709164800)),
        ("DateByMonthDay(2023, 2, 29)", None),
        ("DateByYearDay(2024, 366)", TimeStamp(1735603200)),
        ("DateByYearDay(2023, 366)", None),
        # arrays and dictionaries
        ('Invert(ToObject("(a,b)"))', ["b", "a"]),
        ('Find(ToObject("(a,(b),#2)"), 2)', 2),
        ('Find(ToObject("(a,(b),#2)"), ToObject("(b)"))', 1),
        ('Find(ToObject("(a)"), "x") < 0', "YES"),
        ('Find("abc", "b") < 0', "YES"),
        # conversion
        ("ObjectToString(null)", "#null#"),
        ('ObjectToString("a b")', '"a b"'),
        ('ToObject("{a = (1,#2);}")', Dictionary({"a": ["1", 2]})),
        ('ToObject("{a = ")', None),
        ("ToObject(null)", None),
        ('ObjectToJSON(ToObject("{a=(b,#1,#NULL#);}"))', '{"a": ["b", 1, null]}'),
        ('JSONToObject("{\\"a\\": [1, true, null, \\"é\\"]}")', Dictionary({"a": [1, "YES", None, "é"]})),
        ('JSONToObject("{")', None),
        ('Base64Encode("hi")', "aGk="),
        ('Base64Decode("aGk")', b"hi"),
        ('Base64UrlEncode(Convert("fbff","hex"))', "-_8"),
        ('Base64UrlDecode("-_8")', b"\xfb\xff"),
        ('Base32Decode(Base32Encode("hi"))', b"hi"),
        ('Convert(Convert("0aff","hex"),"HEX")', "0AFF"),
        ('Convert("zz","hex")', None),
        ('Convert("é","utfcode")', 233),
        ('Convert(233,"utfcode")', "é"),
        ('Convert(" a  b ","words")', ["a", "b"]),
        ('Convert("é","iso-8859-1")', b"\xe9"),
        ('Convert(Convert("é","iso-8859-1"),"iso-8859-1")', "é"),
        ('Convert("x","no-such-charset")', None),
        ('Convert(CryDigest("MD5","a"),"hex")', "0cc175b9c0f1b6a831c399e269772661"),
        (
            'Convert(CryDigest("SHA256","Hi There",Convert("0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b","hex")),"hex")',
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
        ),
        ('CryDigest("ROT13","a")', None),
        # XML
        ('XMLType(ToObject("<a/>"))', "a"),
        ('XMLBody(ToObject("<a><b>1</b><b>2</b></a>"), "b", null, 1).String()', "2"),
        ('GetAttribute(ToObject("<a x=\\"1\\" p:y=\\"2\\"/>"), "y", "p")', "2"),
        ('GetAttribute(ToObject("<a x=\\"1\\"/>"), 0)', ["x", None]),
        ('GetNamespace(NewXML("a","p","urn:x"),"p")', "urn:x"),
        ('GetPrefix(NewXML("a","p","urn:x"),"urn:x")', "p"),
        # the environment
        ("GetTimeZoneName()", None),
        ("GetLanguage()", None),
        # what nobody implements
        ("DirectorySearch(1,2,3)", "NOT_SUPPORTED"),
    ],
)
def test_functions(expression: str, value: Value) -> None:
    assert equal(evaluate(expression), value)


@pytest.mark.parametrize(
    ("statements", "line"),
    [
        (
            'a = NewArray(); AddElement(a, 1); InsertElement(a, 0, 2); InsertElement(a, "2", 3); SysLog(a);',
            "(#2, #1, #3)",
        ),
        ('a = ToObject("(x,y,z)"); RemoveElement(a, "1"); SysLog(a);', "(x, z)"),
        ('a = ToObject("(b,A,c)"); SortStrings(a); SysLog(a);', "(A, b, c)"),
        ('d = ToObject("{Key=1;}"); SetCaseSensitive(d, null); SysLog(d.KEY);', "1"),
        (
            'x = NewXML("a"); SetAttribute(x, "1", "n"); AddElement(x, "t<"); AddElement(x, NewXML("b")); SysLog(x);',
            '<a n="1">t&lt;<b/></a>',
        ),
        ('SetTimeZone("Europe/Berlin"); SysLog(String(GMTToLocal(Date("01-07-2024"))));', "01-07-2024_02:00:00"),
        ('SetTimeZone("Europe/Berlin"); SysLog(String(LocalToGMT(Date("01-01-2024"))));', "31-12-2023_23:00:00"),
        ('SetTimeZone("Nowhere/At-all"); SysLog(GetTimeZoneName() || "none");', "none"),
        ('SetTimeZone("../../etc/passwd"); SysLog(GetTimeZoneName() || "none");', "none"),
        ('SetLanguage("French"); SysLog(GetLanguage());', "french"),
    ],
)
def test_procedures(statements: str, line: str) -> None:
    assert logged(f"entry Main {{ {statements} }}") == [line]


@pytest.mark.parametrize(
    "statements",
    [
        "RemoveElement(NewArray(), 0);",
        'SortStrings(ToObject("(a,#1)"));',
        "SetCaseSensitive(1, 2);",
        "x = RandomData(0);",
        "x = RandomData(5000);",
        "x = ToObject(5);",
        "x = Base64Encode(5);",
        "x = XMLType(5);",
        'AddElement(NewXML("a"), 5);',
        "a = NewArray(); a[0] = a; x = ObjectToString(a);",
    ],
)
def test_wrong_classes_are_program_exceptions(statements: str) -> None:
    with pytest.raises(ProgramError):
        play(start(f"entry Main {{ {statements} }}"))


@pytest.mark.parametrize(
    ("picture", "text", "groups"),
    [
        ("abc", "xabcx", ("abc",)),
        ("a|ab|abc", "xabcd", ("abc",)),
        ("^a", "ba", None),
        ("a$", "ab", None),
        ("^$", "", ("",)),
        ("^.+/", "/usr/lib/x", ("/usr/lib/",)),
        ("(a+)(b*)", "xaabbc", ("aabb", "aa", "bb")),
        ("(a)|(b)", "b", ("b", None, "b")),
        ("[0-9]{3}-[0-9]{2,4}", "tel 123-4567!", ("123-4567",)),
        ("[^a-c]+", "abcxyz", ("xyz",)),
        ("[]x]+", "a]x]", ("]x]",)),
        ("[[:digit:]]+([[:alpha:]])", "ab12c", ("12c", "c")),
        ("[a-]+", "x-a-", ("-a-",)),
        ("x*", "aaa", ("",)),
        ("\\.", "a.b", (".",)),
        ("(ab)*c", "ababc", ("ababc", "ab")),
        ("(a|b)*c|(a|ab)*c", "abc", ("abc", "b", None)),
        ("colou?r", "my color", ("color",)),
        ("a{2}", "aaa", ("aa",)),
        ("é+", "aéé", ("éé",)),
        ("(^|,)x(,|$)", "a,x", (",x", ",", "")),
        ("()", "a", ("", "")),
        ("a**", "aa", ("aa",)),
        ("(a*)*b", "aab", ("aab", "aa")),
    ],
)
def test_regular_expressions(picture: str, text: str, groups: tuple[str | None, ...] | None) -> None:
    assert Pattern(picture).search(text) == groups


@pytest.mark.parametrize(
    "picture", ["(", ")", "[a", "*a", "a{2", "a{300}", "a{3,2}", "[[:nope:]]", "\\", "[b-a]", "(" * 200]
)
def test_broken_pictures_are_null(picture: str) -> None:
    with pytest.raises(PatternError):
        Pattern(picture)
    assert evaluate(f'FindRegEx("x", {_literal(picture)})') is None


def _literal(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


@pytest.mark.parametrize(
    ("picture", "text"),
    [
        ("(a*)*b", "a" * 20_000),
        ("(a|aa)+$", "a" * 5_000 + "b"),
        ("(x+x+)+y", "x" * 20_000),
        ("(.*)(.*)(.*)(.*)(.*)[0-9]", "z" * 20_000),
        ("((a{0,50}){0,50})b", "a" * 3_000),
        ("^(([a-z])+.)+[A-Z]([a-z])+$", "a" * 5_000),
        ("(a?){100}a{100}", "a" * 100),
        ("(0|1)*1(0|1){16}", "01" * 3_000),
    ],
)
def test_regular_expressions_do_not_stall(picture: str, text: str) -> None:
    begun = time.process_time()
    try:
        Pattern(picture).search(text)
    except (ProgramFault, PatternError):
        pass
    assert time.process_time() - begun < 5


@settings(deadline=None)
@given(st.text("ab|*+?()[]{}^$.-1,\\", max_size=15), st.text("ab1-", max_size=12))
def test_any_picture_matches_or_is_refused(picture: str, text: str) -> None:
    try:
        found = Pattern(picture).search(text)
    except PatternError:
        return
    if found is not None:
        assert found[0] is not None
        assert found[0] in text
        assert all(group is None or group in found[0] for group in found[1:])
