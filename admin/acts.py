"""The shape of an act, and the one table of them for every door (decision 18).

An act has a name, parameters, rights and a handler; it knows nothing of the door that calls it. Doors: the control
socket (the `tandem` command) now; CLI, HTTP, XIMSS and programs later.
"""

from __future__ import annotations

import base64
import binascii
import enum
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from admin.desk import Desk
from admin.ports import Json
from admin.rights import Actor
from base.failures import Failure
from base.log import get_logger
from base.values.kinds import NUMBER_MAX
from directory.model import Right

_log = get_logger("admin")


class Type(enum.Enum):
    """What a parameter's value must be."""

    TEXT = "text"
    FLAG = "true or false"
    NUMBER = "a number from 0"
    LIST = "a list of texts"
    TEXTS = "texts by name"
    ROWS = "a list of texts by name"
    DATA = "octets in base64"


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of an act. A secret one never reaches the log."""

    name: str
    type: Type = Type.TEXT
    required: bool = True
    secret: bool = False


class Arguments:
    """Values that have been checked against the parameters."""

    def __init__(self, values: Mapping[str, Json]) -> None:
        self._values = values

    def text(self, name: str) -> str:
        """Empty when it was left out."""
        value = self._values.get(name)
        return value if isinstance(value, str) else ""

    def optional(self, name: str) -> str | None:
        value = self._values.get(name)
        return value if isinstance(value, str) else None

    def flag(self, name: str) -> bool:
        return self._values.get(name) is True

    def number(self, name: str, default: int) -> int:
        value = self._values.get(name)
        return value if isinstance(value, int) else default

    def rows(self, name: str) -> list[dict[str, str]]:
        value = self._values.get(name)
        found = [row for row in value if isinstance(row, Mapping)] if isinstance(value, list) else []
        return [{key: str(text) for key, text in row.items()} for row in found]

    def list(self, name: str) -> tuple[str, ...]:
        value = self._values.get(name)
        return tuple(str(item) for item in value) if isinstance(value, list) else ()

    def texts(self, name: str) -> dict[str, str]:
        value = self._values.get(name)
        return {key: str(text) for key, text in value.items()} if isinstance(value, Mapping) else {}

    def data(self, name: str) -> bytes:
        return base64.b64decode(self.text(name))


Handler = Callable[[Desk, Arguments], Awaitable[Json]]


@dataclass(frozen=True, slots=True)
class Act:
    """One row of the table. `right` is that of administrators of the server; `domain` lets those of a domain do it
    there, and `own` everybody for his own account (`admin.rights`)."""

    name: str
    meaning: str
    right: Right
    handler: Handler
    parameters: tuple[Parameter, ...] = ()
    domain: Right | None = None
    own: bool = False

    def arguments(self, given: Mapping[str, Json]) -> Arguments:
        """Check what came. Raises Failure("invalid")."""
        by_name = {parameter.name: parameter for parameter in self.parameters}
        for name in given:
            if name not in by_name:
                raise Failure("invalid", f"{self.name}: unknown parameter {name}")
        for parameter in self.parameters:
            value = given.get(parameter.name)
            if value is None and not parameter.required:
                continue
            if not _fits(parameter.type, value):
                raise Failure("invalid", f"{self.name}: {parameter.name} must be {parameter.type.value}")
        return Arguments(given)


def _fits(type_: Type, value: Json) -> bool:
    match type_:
        case Type.TEXT:
            return isinstance(value, str)
        case Type.FLAG:
            return isinstance(value, bool)
        case Type.NUMBER:
            return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= NUMBER_MAX
        case Type.LIST:
            return isinstance(value, list) and all(isinstance(item, str) for item in value)
        case Type.TEXTS:
            return isinstance(value, dict) and all(isinstance(item, str) for item in value.values())
        case Type.ROWS:
            return isinstance(value, list) and all(_fits(Type.TEXTS, row) for row in value)
        case Type.DATA:
            return isinstance(value, str) and _is_base64(value)


def _is_base64(text: str) -> bool:
    try:
        base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return False
    return True


class Acts:
    """The table, and the one way to perform an act of it."""

    def __init__(self, desk: Desk, table: Iterable[Act]) -> None:
        self._desk = desk
        self.table: Mapping[str, Act] = {act.name: act for act in table}

    async def perform(self, name: str, given: Mapping[str, Json], actor: Actor) -> Json:
        """Do it and return its result. Raises Failure: "not-found" for an act that is not there, "denied" without
        the right, "invalid" for wrong parameters, and what the act itself refuses."""
        act = self.table.get(name)
        if act is None:
            raise Failure("not-found", f"there is no act {name}")
        desk = replace(self._desk, actor=actor, reach=actor.reach(name, act.right, act.domain, act.own))
        arguments = act.arguments(given)
        _log.info("act", act=name, actor=actor.name, **_shown(act, given))
        return await act.handler(desk, arguments)


def _shown(act: Act, given: Mapping[str, Json]) -> dict[str, Json]:
    """The arguments that may be logged."""
    hidden = {item.name for item in act.parameters if item.secret or item.type is Type.DATA}
    return {f"arg_{name}": value for name, value in given.items() if name not in hidden}
