"""The operators of the language on values: null for unlike types, 64-bit numbers, division toward zero.

Each logical result is `YES` or null. These run for every operation of every program, so the common case comes first and
nothing is looked up twice.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from base.values import Dictionary, NetAddress, TimeStamp, Value, XmlElement, equal, from_octets, octets, wrap
from cgpl.diagnostics import ProgramFault

STRING_LIMIT = 4 * 1024 * 1024  # Limit: characters of a string that a program builds.
LENGTH_LIMIT = 200_000  # Limit: elements of an array or dictionary that a program builds.

_MIN = -(2**63)
_MAX = 2**63 - 1

Flag: TypeAlias = str | None


def join(left: str, right: str) -> str:
    """Both strings in a row; a symbol whose octets were cut apart becomes whole again."""
    if len(left) + len(right) > STRING_LIMIT:
        raise ProgramFault("the string grows too long")
    joined = left + right
    if joined.isascii() or not ("\udc80" <= left[-1:] <= "\udcff" and "\udc80" <= right[:1] <= "\udcff"):
        return joined
    return from_octets(octets(joined))


def add(left: Value, right: Value) -> Value:
    """`left + right`."""
    if type(left) is int and type(right) is int:
        result = left + right
        return result if _MIN <= result <= _MAX else wrap(result)
    if type(left) is str and type(right) is str:
        return join(left, right)
    if type(left) is TimeStamp and type(right) is int:
        return left.moved(right)
    return None


def subtract(left: Value, right: Value) -> Value:
    """`left - right`."""
    if type(left) is int and type(right) is int:
        result = left - right
        return result if _MIN <= result <= _MAX else wrap(result)
    if type(left) is TimeStamp:
        if type(right) is int:
            return left.moved(-right)
        if type(right) is TimeStamp:
            return wrap(left.seconds - right.seconds)
    return None


def multiply(left: Value, right: Value) -> Value:
    """`left * right`."""
    if type(left) is int and type(right) is int:
        result = left * right
        return result if _MIN <= result <= _MAX else wrap(result)
    return None


def divide(left: Value, right: Value) -> Value:
    """`left / right`, toward zero."""
    if type(left) is int and type(right) is int:
        if right == 0:
            raise ProgramFault("division by zero")
        result = left // right if (left >= 0) == (right > 0) else -(-left // right)
        return wrap(result)
    return None


def modulo(left: Value, right: Value) -> Value:
    """`left % right`, with the sign of `left`."""
    if type(left) is int and type(right) is int:
        if right == 0:
            raise ProgramFault("division by zero")
        result = abs(left) % abs(right)
        return result if left >= 0 else -result
    return None


def negate(value: Value) -> Value:
    """`-value`."""
    return wrap(-value) if type(value) is int else None


def plus(value: Value) -> Value:
    """`+value`: a number itself."""
    return value if type(value) is int else None


def not_(value: Value) -> Flag:
    """`not value`."""
    return "YES" if value is None else None


def less(left: Value, right: Value) -> Flag:
    """`left < right`; null for types that have no order together."""
    if type(left) is int and type(right) is int:
        return "YES" if left < right else None
    return "YES" if (order := _order(left, right)) is not None and order < 0 else None


def greater(left: Value, right: Value) -> Flag:
    """`left > right`."""
    if type(left) is int and type(right) is int:
        return "YES" if left > right else None
    return "YES" if (order := _order(left, right)) is not None and order > 0 else None


def at_most(left: Value, right: Value) -> Flag:
    """`left <= right`."""
    if type(left) is int and type(right) is int:
        return "YES" if left <= right else None
    return "YES" if (order := _order(left, right)) is not None and order <= 0 else None


def at_least(left: Value, right: Value) -> Flag:
    """`left >= right`."""
    if type(left) is int and type(right) is int:
        return "YES" if left >= right else None
    return "YES" if (order := _order(left, right)) is not None and order >= 0 else None


def _order(left: Value, right: Value) -> int | None:
    """Negative, 0 or positive; None for values without an order."""
    match left, right:
        case (int(), int()) | (str(), str()) | (TimeStamp(), TimeStamp()):
            return (left > right) - (left < right)  # type: ignore[operator]
        case NetAddress(), NetAddress():
            mine, other = left.order(), right.order()
            return (mine > other) - (mine < other)
        case _:
            return None


def same_value(left: Value, right: Value) -> Flag:
    """`left == right`: by value, unlike types are unequal."""
    kind = type(left)
    if kind is int or kind is str or left is None:
        return "YES" if left == right else None
    return "YES" if equal(left, right) else None


def other_value(left: Value, right: Value) -> Flag:
    """`left != right`."""
    return None if same_value(left, right) is not None else "YES"


def both(left: Value, right: Value) -> Flag:
    """`left and right`, both already evaluated."""
    return "YES" if left is not None and right is not None else None


def either(left: Value, right: Value) -> Flag:
    """`left or right`, both already evaluated."""
    return "YES" if left is not None or right is not None else None


def exactly_one(left: Value, right: Value) -> Flag:
    """`left xor right`."""
    return "YES" if (left is None) != (right is None) else None


UNARY: dict[str, Callable[[Value], Value]] = {"-": negate, "+": plus, "not": not_}
BINARY: dict[str, Callable[[Value, Value], Value]] = {
    "+": add,
    "-": subtract,
    "*": multiply,
    "/": divide,
    "%": modulo,
    "<": less,
    ">": greater,
    "<=": at_most,
    ">=": at_least,
    "==": same_value,
    "!=": other_value,
    "and": both,
    "or": either,
    "xor": exactly_one,
}


def get_index(subject: Value, index: Value) -> Value:
    """`subject[index]`: null outside and for null."""
    number = element_number(index)
    if number is None or number < 0:
        return None
    if type(subject) is list:
        return subject[number] if number < len(subject) else None
    match subject:
        case Dictionary():
            return subject.key_at(number)
        case str():
            return subject[number] if number < len(subject) else None
        case bytes():
            return subject[number] if number < len(subject) else None
        case XmlElement(children=children):
            return children[number] if number < len(children) else None
        case _:
            return None


def set_index(subject: Value, index: Value, value: Value) -> None:
    """`subject[index] = value`: replaces, or appends just after the end of an array."""
    if type(subject) is not list:
        raise ProgramFault(f"{a_kind(subject)} has no elements to assign to")
    number = element_number(index)
    if number is None:
        raise ProgramFault(f"{a_kind(index)} is no index")
    if number == len(subject):
        if number >= LENGTH_LIMIT:
            raise ProgramFault("the array grows too long")
        subject.append(value)
    elif 0 <= number < len(subject):
        subject[number] = value
    else:
        raise ProgramFault(f"index {number} is outside the array of {len(subject)} elements")


def get_key(subject: Value, key: Value) -> Value:
    """`subject.key`: null for what is not there, and for what is no dictionary."""
    if type(subject) is not Dictionary:
        return None
    if type(key) is str:
        return subject.get(key)
    return subject.get(str(key)) if type(key) is int else None


def set_key(subject: Value, key: Value, value: Value) -> None:
    """`subject.key = value`; null removes the key."""
    if type(subject) is not Dictionary:
        raise ProgramFault(f"{a_kind(subject)} has no keys to assign to")
    if type(key) is int:
        key = str(key)
    if type(key) is not str:
        raise ProgramFault(f"{a_kind(key)} is no key")
    if value is None:
        subject.remove(key)
    elif len(subject) >= LENGTH_LIMIT and key not in subject:
        raise ProgramFault("the dictionary grows too large")
    else:
        subject[key] = value


def element_number(index: Value) -> int | None:
    """A number, or a decimal string as one; None for anything else."""
    if type(index) is int:
        return index
    if type(index) is str and 0 < len(index) <= 18 and index.isascii() and index.isdigit():
        return int(index)
    return None


def a_kind(value: Value) -> str:
    """What a value is, for messages: `a string`, `null`."""
    match value:
        case None:
            return "null"
        case str():
            return "a string"
        case int():
            return "a number"
        case bytes():
            return "a datablock"
        case TimeStamp():
            return "a timestamp"
        case NetAddress():
            return "an ip-address"
        case list():
            return "an array"
        case Dictionary():
            return "a dictionary"
        case XmlElement():
            return "an XML object"
        case _:
            return "an object"
