"""Built-ins for arrays and dictionaries."""

from __future__ import annotations

from base.values import Dictionary, Value, XmlElement, equal
from cgpl.builtins.arguments import a_dictionary, an_array, flag
from cgpl.builtins.table import Builtin
from cgpl.diagnostics import ProgramFault
from cgpl.operators import LENGTH_LIMIT, a_kind, element_number
from cgpl.runtime import Task


def is_array(_: Task, value: Value) -> Value:
    return flag(isinstance(value, list))


def new_array(_: Task) -> Value:
    return []


def invert(task: Task, value: Value) -> Value:
    array = an_array(value)
    task.charge(len(array) // 16)
    return array[::-1]


def find(task: Task, source: Value, value: Value) -> Value:
    if not isinstance(source, list):
        return -1
    task.charge(len(source) // 4)
    if value is None or isinstance(value, str | int):
        return next((index for index, item in enumerate(source) if item == value), -1)
    return next((index for index, item in enumerate(source) if equal(item, value)), -1)


def add_element(_: Task, target: Value, value: Value) -> Value:
    match target:
        case list():
            _room(target)
            target.append(value)
        case XmlElement():
            if not isinstance(value, str | XmlElement):
                raise ProgramFault(f"{a_kind(value)} cannot be put into an XML object")
            target.children.append(value)
        case _:
            raise ProgramFault(f"an element cannot be added to {a_kind(target)}")
    return None


def remove_element(task: Task, target: Value, index: Value) -> Value:
    array = an_array(target, "the first argument")
    task.charge(len(array) // 256)
    del array[_position(array, index, len(array) - 1)]
    return None


def insert_element(task: Task, target: Value, index: Value, value: Value) -> Value:
    array = an_array(target, "the first argument")
    task.charge(len(array) // 256)
    _room(array)
    array.insert(_position(array, index, len(array)), value)
    return None


def _position(array: list[Value], index: Value, last: int) -> int:
    number = element_number(index)
    if number is None or not 0 <= number <= last:
        raise ProgramFault(f"the index is outside the array of {len(array)} elements")
    return number


def _room(array: list[Value]) -> None:
    if len(array) >= LENGTH_LIMIT:
        raise ProgramFault("the array grows too long")


def sort_strings(task: Task, target: Value) -> Value:
    array = an_array(target)
    task.charge(len(array) * 4)
    keyed: list[tuple[str, str]] = []
    for item in array:
        if not isinstance(item, str):
            raise ProgramFault(f"SortStrings met {a_kind(item)} among the strings")
        keyed.append((item.lower(), item))
    keyed.sort(key=lambda pair: pair[0])
    array[:] = [item for _, item in keyed]
    return None


def is_dictionary(_: Task, value: Value) -> Value:
    return flag(isinstance(value, Dictionary))


def new_dictionary(_: Task) -> Value:
    return Dictionary()


def set_case_sensitive(_: Task, target: Value, sensitive: Value) -> Value:
    a_dictionary(target, "the first argument").set_case_sensitive(sensitive is not None)
    return None


BUILTINS = (
    Builtin("IsArray", "F", 1, 1, is_array),
    Builtin("NewArray", "F", 0, 0, new_array),
    Builtin("Invert", "F", 1, 1, invert),
    Builtin("Find", "F", 2, 2, find),
    Builtin("AddElement", "P", 2, 2, add_element),
    Builtin("RemoveElement", "P", 2, 2, remove_element),
    Builtin("InsertElement", "P", 3, 3, insert_element),
    Builtin("SortStrings", "P", 1, 1, sort_strings),
    Builtin("IsDictionary", "F", 1, 1, is_dictionary),
    Builtin("NewDictionary", "F", 0, 0, new_dictionary),
    Builtin("SetCaseSensitive", "P", 2, 2, set_case_sensitive),
)
