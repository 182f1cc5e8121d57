"""Built-ins for strings. Positions and lengths count octets, except in `Range`, which counts symbols."""

from __future__ import annotations

from base.values import Dictionary, Handle, NetAddress, TimeStamp, Value, XmlElement, from_octets, octets
from cgpl.builtins.anything import written
from cgpl.builtins.arguments import flag
from cgpl.builtins.regex import WORK_LIMIT, Pattern, PatternError, Work
from cgpl.builtins.table import Builtin
from cgpl.runtime import Task


def is_string(_: Task, value: Value) -> Value:
    return flag(isinstance(value, str))


def string(_: Task, value: Value) -> Value:
    match value:
        case None | str():
            return value
        case int() | TimeStamp() | NetAddress():
            return str(value)
        case bytes():
            return from_octets(value)
        case XmlElement():
            return value.text
        case list() | Dictionary() | Handle():
            return written(value)


def substring(_: Task, text: Value, start: Value, length: Value) -> Value:
    if not isinstance(start, int) or not isinstance(length, int) or length < 0:
        return None
    match text:
        case str():
            if text.isascii():
                return text[slice(*_span(len(text), start, length))]
            data = octets(text)
            return from_octets(data[slice(*_span(len(data), start, length))])
        case bytes():
            return from_octets(text[slice(*_span(len(text), start, length))])
        case _:
            return None


def symbols(_: Task, text: Value, start: Value, length: Value) -> Value:
    """`Range`: as Substring, counting symbols; a datablock is cut by octets."""
    if not isinstance(start, int) or not isinstance(length, int) or length < 0 or not isinstance(text, str | bytes):
        return None
    return text[slice(*_span(len(text), start, length))]


def _span(size: int, start: int, length: int) -> tuple[int, int]:
    """The slice meant: from a start, or ending at octet -1-start counted from the end."""
    if start >= 0:
        return min(start, size), min(start + length, size)
    end = max(0, size + start + 1)
    return max(0, end - length), end


def find_substring(_: Task, text: Value, part: Value, offset: Value = 0) -> Value:
    if not isinstance(text, str) or not isinstance(part, str) or not isinstance(offset, int):
        return -1
    source: str | bytes = text
    sought: str | bytes = part
    if not (text.isascii() and part.isascii()):
        source, sought = octets(text), octets(part)
    if offset >= 0:
        return source.find(sought, offset) if offset <= len(source) else -1  # type: ignore[arg-type]
    # The guide's text counts octets to ignore from -1 (none); its examples, -3 and -5, ignore one more.
    end = len(source) if offset == -1 else max(0, len(source) + offset)
    return source.rfind(sought, 0, end)  # type: ignore[arg-type]


def find_substring_ex(task: Task, text: Value, part: Value, offset: Value) -> Value:
    """As FindSubstring, without regard to case (the third argument is inferred to be the offset)."""
    if not isinstance(text, str) or not isinstance(part, str):
        return -1
    return find_substring(task, _lower(text), _lower(part), offset if isinstance(offset, int) else 0)


def eol(_: Task) -> Value:
    return "\n"


def crlf(_: Task) -> Value:
    return "\r\n"


def to_upper_case(_: Task, text: Value) -> Value:
    return text.upper() if isinstance(text, str) else None


def to_lower_case(_: Task, text: Value) -> Value:
    return text.lower() if isinstance(text, str) else None


def _lower(text: str) -> str:
    return "".join(char.lower() if char.isascii() else char for char in text)


def is_digit(_: Task, text: Value) -> Value:
    return flag(isinstance(text, str) and len(text) == 1 and "0" <= text <= "9")


def is_white_spaces(_: Task, text: Value) -> Value:
    return flag(isinstance(text, str) and not text.strip(" \t\r\n"))


def find_reg_ex(task: Task, text: Value, picture: Value) -> Value:
    """The matched part, then each group; null for no match or a broken picture. Cannot stall: see `regex`."""
    if not isinstance(text, str) or not isinstance(picture, str):
        return None
    work = Work()
    try:
        found = Pattern(picture).search(text, work)
    except PatternError:
        return None
    finally:
        task.charge((WORK_LIMIT - work.left + len(text) + 50 * len(picture)) // 16)
    return None if found is None else list(found)


def email_domain_part(_: Task, address: Value) -> Value:
    if not isinstance(address, str) or "@" not in address:
        return None
    return address.partition("@")[2]


def email_user_part(_: Task, address: Value) -> Value:
    return address.partition("@")[0] if isinstance(address, str) else None


BUILTINS = (
    Builtin("IsString", "F", 1, 1, is_string),
    Builtin("String", "F", 1, 1, string),
    Builtin("Substring", "F", 3, 3, substring),
    Builtin("Range", "F", 3, 3, symbols),
    Builtin("FindSubstring", "F", 2, 3, find_substring),
    Builtin("FindSubstringEx", "F", 3, 3, find_substring_ex),
    Builtin("EOL", "F", 0, 0, eol),
    Builtin("CRLF", "F", 0, 0, crlf),
    Builtin("ToUpperCase", "F", 1, 1, to_upper_case),
    Builtin("ToLowerCase", "F", 1, 1, to_lower_case),
    Builtin("IsDigit", "F", 1, 1, is_digit),
    Builtin("IsWhiteSpaces", "F", 1, 1, is_white_spaces),
    Builtin("FindRegEx", "F", 2, 2, find_reg_ex),
    Builtin("EmailDomainPart", "F", 1, 1, email_domain_part),
    Builtin("EmailUserPart", "F", 1, 1, email_user_part),
)
