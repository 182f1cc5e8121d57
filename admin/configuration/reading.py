"""A tree of files read into a `State`. Every fault is found, each with its file, its line, and what would be right.

Only the shape is checked here; whether names may be given and records hold is told by the rehearsal.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, TypeVar

from admin.configuration import tree
from admin.configuration.state import AccountState, DomainState, Secrets, Settings, State
from admin.ports import FilePlace
from base.failures import Failure
from base.values.kinds import NUMBER_MAX, NUMBER_MIN, Value
from base.values.text import ValueTextError, parse_value
from directory.model import Ring, RingOrder
from pbx.trunk.model import Trunk

T = TypeVar("T")

_PLACE = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)")
MOST_FAULTS = 50
"""Limit: faults that are told; a tree with more is wrong as a whole."""


def read(files: tree.Files) -> State:
    """Raises Failure("invalid") with all faults, a line each."""
    reading = _Reading()
    for path in sorted(files):
        reading.file(path, files[path])
        owner = _owner(path)
        if owner and owner not in files:
            reading.fault(path, 0, f"there is no {owner} beside it")
    state = reading.state
    if tree.SERVER not in files:
        reading.fault(tree.SERVER, 0, "is missing: this is no exported tree")
    elif state.main_domain not in state.domains:
        reading.fault(tree.SERVER, 0, f"main_domain: there is no {tree.DOMAINS}/{state.main_domain}/{tree.DOMAIN}")
    if reading.faults:
        raise Failure("invalid", "\n".join(reading.faults[:MOST_FAULTS]))
    return state


def _owner(path: str) -> str:
    """The file without which this one belongs to nobody: a wrong name must not make an account or a domain."""
    match path.split("/"):
        case [tree.DOMAINS, domain, tree.ACCOUNTS, name] if name.endswith(tree.ACCOUNT_RULES):
            return f"{tree.DOMAINS}/{domain}/{tree.ACCOUNTS}/{name.removesuffix(tree.ACCOUNT_RULES)}.toml"
        case [tree.DOMAINS, domain, _, *_]:
            return f"{tree.DOMAINS}/{domain}/{tree.DOMAIN}"
        case _:
            return ""


@dataclass(slots=True)
class _Table:
    """One TOML table, where it stands, and what has been asked of it."""

    reading: _Reading
    path: str
    text: str
    values: dict[str, object]
    asked: set[str] = field(default_factory=set)
    place: str = ""

    def take(self, key: str, kind: type[T], otherwise: T) -> T:
        self.asked.add(key)
        value = self.values.get(key, otherwise)
        if isinstance(value, kind) and not (kind is int and isinstance(value, bool)):
            return value
        self.fault(key, f"must be {_KINDS[kind]}")
        return otherwise

    def texts(self, key: str) -> tuple[str, ...]:
        found = self.take(key, list, [])
        if all(isinstance(item, str) for item in found):
            return tuple(str(item) for item in found)
        self.fault(key, "must be a list of texts")
        return ()

    def inner(self, key: str) -> _Table:
        return _Table(self.reading, self.path, self.text, self.take(key, dict, {}), place=key)

    def pairs(self, key: str) -> dict[str, str]:
        inner = self.inner(key)
        return {name: inner.take(name, str, "") for name in inner.values}

    def fault(self, key: str, what: str) -> None:
        line = re.search(rf"""^\s*["']?{re.escape(key)}["']?\s*=""", self.text, re.MULTILINE)
        number = self.text.count("\n", 0, line.start()) + 1 if line else 0
        self.reading.fault(self.path, number, f"{f'[{self.place}] ' if self.place else ''}{key} {what}")

    def end(self) -> None:
        """Nothing else may stand here."""
        for key in self.values:
            if key not in self.asked:
                self.fault(key, f"is not known here{_suggestion(key, self.asked)}")


_KINDS: dict[type, str] = {
    str: "a text in quotes",
    int: "a number",
    bool: "true or false",
    list: "a list",
    dict: "a table",
}


class _Reading:
    """`file` for each of the tree; then `state` and `faults`."""

    def __init__(self) -> None:
        self.state = State(files={})
        self.faults: list[str] = []
        self._contents: dict[FilePlace, bytes] = {}
        self.state.files = self._contents

    def fault(self, path: str, line: int, what: str) -> None:
        self.faults.append(f"{path}{f':{line}' if line else ''}: {what}")

    def file(self, path: str, content: bytes) -> None:
        match path.split("/"):
            case [tree.SERVER]:
                self._toml(path, content, self._server)
            case [tree.SECRETS]:
                self._toml(path, content, self._secrets)
            case [tree.ROUTER]:
                self.state.router = self._text(path, content)
            case [tree.RULES]:
                self.state.rules = self._text(path, content)
            case [tree.TRUNKS, name] if name.endswith(".toml"):
                self._toml(path, content, lambda table: self._trunk(name.removesuffix(".toml"), table))
            case [tree.ENVIRONMENT, *rest] if 1 <= len(rest) <= 2:
                self._content("", rest, content)
            case [tree.DOMAINS, domain, *rest] if rest:
                self._of_domain(path, domain, rest, content)
            case _:
                self._unknown(path)

    def _of_domain(self, path: str, domain: str, rest: Sequence[str], content: bytes) -> None:
        match rest:
            case [tree.DOMAIN]:
                self._toml(path, content, lambda table: self._domain(domain, table))
            case [tree.RULES]:
                self._domain_of(domain).rules = self._text(path, content)
            case [tree.ACCOUNTS, name] if name.endswith(tree.ACCOUNT_RULES):
                account = self._account_of(domain, name.removesuffix(tree.ACCOUNT_RULES))
                account.rules = self._text(path, content)
            case [tree.ACCOUNTS, name] if name.endswith(".toml"):
                self._toml(path, content, lambda table: self._account(domain, name.removesuffix(".toml"), table))
            case [tree.ENVIRONMENT, *names] if 1 <= len(names) <= 2:
                self._content(domain, names, content)
            case _:
                self._unknown(path)

    def _unknown(self, path: str) -> None:
        names = [tree.SERVER, tree.ROUTER, tree.RULES, tree.SECRETS, tree.TRUNKS, tree.DOMAINS, tree.ENVIRONMENT]
        names += [tree.DOMAIN, tree.ACCOUNTS]
        self.fault(path, 0, f"is no file of a configuration{_suggestion(path.split('/')[-1], names)}")

    # --- one file

    def _text(self, path: str, content: bytes) -> str:
        try:
            return content.decode("utf-8")
        except UnicodeDecodeError as error:
            self.fault(path, content.count(b"\n", 0, error.start) + 1, "is not in UTF-8")
            return ""

    def _toml(self, path: str, content: bytes, read_table: Callable[[_Table], None]) -> None:
        text = self._text(path, content)
        try:
            values = tomllib.loads(text)
        except (tomllib.TOMLDecodeError, RecursionError) as error:
            place = _PLACE.search(str(error))
            line = int(place[1]) if place and place[1] else text.count("\n") + 1
            self.fault(path, line, _PLACE.sub("", str(error)))
            return
        except ValueError:  # of int(): thousands of digits
            self.fault(path, 0, "has a number that does not fit into 64 bits")
            return
        table = _Table(self, path, text, values)
        read_table(table)
        table.end()

    def _content(self, domain: str, names: Sequence[str], content: bytes) -> None:
        place = FilePlace(domain.lower(), names[0].lower() if len(names) == 2 else "", names[-1].lower())
        self._contents[place] = content

    # --- one table

    def _server(self, table: _Table) -> None:
        state = self.state
        state.main_domain = table.take("main_domain", str, "").lower()
        state.settings = _settings(table)
        state.network = table.pairs("network")
        for row in table.take("workarounds", list, []):
            if not isinstance(row, dict):
                table.fault("workarounds", "are tables: [[workarounds]]")
                continue
            one = _Table(self, table.path, table.text, row, place="workarounds")
            key = one.take("device", str, ""), one.take("do", str, "")
            state.workarounds[key] = (not one.take("off", bool, False), one.take("note", str, ""))
            one.end()

    def _secrets(self, table: _Table) -> None:
        self.state.secrets = Secrets(table.pairs("passwords"), table.pairs("pins"), table.pairs("trunks"))

    def _trunk(self, name: str, table: _Table) -> None:
        given: dict[str, Any] = {"name": name, "domain": table.take("domain", str, "")}
        for each in fields(Trunk):
            usual: Any = each.default
            if each.name in given:
                continue
            if each.name not in table.values:
                table.asked.add(each.name)
            elif isinstance(usual, tuple):
                given[each.name] = table.texts(each.name)
            else:
                given[each.name] = table.take(each.name, type(usual), usual)
        self.state.trunks[name] = Trunk(**given)

    def _domain(self, name: str, table: _Table) -> None:
        domain = self._domain_of(name)
        domain.aliases = tuple(sorted(alias.lower() for alias in table.texts("aliases")))
        domain.settings = _settings(table)
        groups = table.inner("groups")
        domain.groups = {group.lower(): groups.texts(group) for group in groups.values}
        rings = table.inner("rings")
        domain.rings = {name.lower(): _ring(rings, name) for name in rings.values}
        for name in domain.rings:
            if name not in domain.groups:
                rings.fault(name, "is no group of this domain")
        domain.forwarders = {forwarder.lower(): target for forwarder, target in table.pairs("forwarders").items()}

    def _account(self, domain: str, name: str, table: _Table) -> None:
        account = self._account_of(domain, name)
        account.real_name = table.take("real_name", str, "")
        account.aliases = tuple(alias.lower() for alias in table.texts("aliases"))
        account.telnums = table.texts("telnums")
        account.rights = table.texts("rights")
        account.settings = _settings(table)

    def _domain_of(self, name: str) -> DomainState:
        return self.state.domains.setdefault(name.lower(), DomainState())

    def _account_of(self, domain: str, name: str) -> AccountState:
        return self._domain_of(domain).accounts.setdefault(name.lower(), AccountState())


def _ring(rings: _Table, name: str) -> Ring:
    one, usual = rings.inner(name), Ring()
    order = one.take("order", str, usual.order.value)
    known = [each.value for each in RingOrder]
    if order not in known:
        one.fault("order", f"must be one of {', '.join(known)}")
        order = usual.order.value
    ring = Ring(RingOrder(order), one.take("step", int, usual.step), one.take("then", str, ""))
    one.end()
    return ring


def _settings(table: _Table) -> Settings:
    inner = table.inner("settings")
    found: Settings = {}
    for key, value in inner.values.items():
        try:
            found[key] = _value(value)
        except ValueError as error:
            inner.fault(key, str(error))
    return found


def _value(value: object) -> Value:
    """Raises ValueError."""
    match value:
        case bool():
            return "YES" if value else "NO"
        case int() if not NUMBER_MIN <= value <= NUMBER_MAX:
            raise ValueError("does not fit into 64 bits")
        case str() | int():
            return value
        case list() if all(isinstance(item, str) for item in value):
            return list(value)
        case {tree.TEXT_FORM: str() as text}:
            try:
                return parse_value(text)
            except ValueTextError as error:
                raise ValueError(f"column {error.column} of the text: {error.message}") from error
        case _:
            raise ValueError('must be a text, a number, a list of texts, or { text = "…" }')


def _suggestion(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {close[0]}?" if close else ""
