"""What is said about text that is no program: one message for the first token or character that does not fit.

Not the parser; it says what it met and what it would have taken.
"""

from __future__ import annotations

from cgpl.diagnostics import CompileError, Severity, SourceText, diagnose, suggest

_KEYWORDS = """
    and by const elif else end entry exitif external false for forward function if is loop not null or procedure return
    spawn stop then true var while xor
"""
KEYWORDS = frozenset(_KEYWORDS.split())
_WORDS = {
    "RPAR": "')'",
    "LPAR": "'('",
    "RSQB": "']'",
    "RBRACE": "'}'",
    "LBRACE": "'{'",
    "SEMICOLON": "';'",
    "COMMA": "','",
    "COLON": "':'",
    "EQUALS": "'='",
    "DOT": "'.'",
    "NAME": "a name",
}


def syntax_error(source: SourceText, offset: int, message: str, hint: str = "") -> CompileError:
    """One error at an offset."""
    return CompileError([diagnose(source, Severity.ERROR, offset, message, hint)])


def bad_character(source: SourceText, at: int) -> CompileError:
    """The error for a character that begins no word."""
    char = source.text[at]
    if char == '"':
        hint = 'a string ends with " on the same line; write \\n for a line end'
        return syntax_error(source, at, "the string is not closed on its line", hint)
    if source.text.startswith("/*", at):
        return syntax_error(source, at, "the comment is not closed", "end it with */")
    if char.isprintable():
        return syntax_error(source, at, f"unexpected character '{char}'")
    return syntax_error(source, at, f"unexpected character of code {ord(char)}")


def unexpected(source: SourceText, at: int, kind: str, text: str, wanted: frozenset[str]) -> CompileError:
    """The error for a token that does not fit; `wanted` names the kinds that would."""
    ended = kind == "$END"
    at = len(source.text.rstrip()) if ended else at
    met = "the end of the file" if ended else f"'{text}'"
    between = "VAR" in wanted  # between statements or sections, where a semicolon is only an empty statement
    ends = ended or kind in ("END", "RBRACE") or _starts_line(source.text, at)
    if ends and not between and "SEMICOLON" in wanted:
        return syntax_error(source, _end_before(source.text, at), f"';' is missing before {met}")
    if ended and wanted & {"END", "RBRACE"}:
        return syntax_error(source, at, "the section is not closed", "add 'end;' or '}'")
    if between and "FUNCTION" in wanted:
        hint = suggest(text, ("entry", "procedure", "function", "var", "const"))
        message = f"an entry, procedure, function or declaration is expected, not {met}"
        return syntax_error(source, at, message, hint)
    if kind == "NUMBER" and source.text[at - 1 : at] == ".":
        return syntax_error(source, at - 1, "numbers have no fraction")
    if (words := _expected(wanted)) is not None:
        return syntax_error(source, at, f"{words} is expected before {met}")
    hint = "it is a keyword and cannot be a name" if text.lower() in KEYWORDS else ""
    return syntax_error(source, at, f"{met} is out of place", hint)


def _expected(wanted: frozenset[str]) -> str | None:
    """What is expected, when that can be said in a few words."""
    for opener in ("THEN", "LOOP"):
        if opener in wanted and "LBRACE" in wanted:
            return f"'{opener.lower()}' or '{{'"
    named = sorted(_WORDS[name] for name in wanted if name in _WORDS)
    return " or ".join(named) if 0 < len(named) == len(wanted) <= 3 else None


def _starts_line(text: str, at: int) -> bool:
    before = text[:at].rstrip(" \t")
    return before.endswith(("\n", "\r"))


def _end_before(text: str, at: int) -> int:
    """Where the token before `at` ends (comments in between are not looked through)."""
    return max(0, len(text[:at].rstrip()))
