"""Checks of arguments shared by the built-ins: the wrong class is a program exception where the language says so."""

from __future__ import annotations

from base.values import Dictionary, Value, XmlElement
from cgpl.diagnostics import ProgramFault
from cgpl.operators import STRING_LIMIT, a_kind

YES = "YES"


def flag(condition: bool) -> str | None:
    """A logical result."""
    return YES if condition else None


def an_array(value: Value, what: str = "the argument") -> list[Value]:
    if not isinstance(value, list):
        raise ProgramFault(f"{what} is {a_kind(value)}, not an array")
    return value


def a_dictionary(value: Value, what: str = "the argument") -> Dictionary:
    if not isinstance(value, Dictionary):
        raise ProgramFault(f"{what} is {a_kind(value)}, not a dictionary")
    return value


def an_element(value: Value, what: str = "the first argument") -> XmlElement:
    if not isinstance(value, XmlElement):
        raise ProgramFault(f"{what} is {a_kind(value)}, not an XML object")
    return value


def a_string(value: Value, what: str = "the argument") -> str:
    if not isinstance(value, str):
        raise ProgramFault(f"{what} is {a_kind(value)}, not a string")
    return value


def bounded(text: str) -> str:
    """The text, unless it is longer than a string may be."""
    if len(text) > STRING_LIMIT:
        raise ProgramFault("the string grows too long")
    return text
