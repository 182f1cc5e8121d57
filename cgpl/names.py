"""What names lead to: variables, constants and sections. Found by the checker, used by the compiler."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from base.values import Value
from cgpl import syntax as s
from cgpl.builtins.table import Builtin
from cgpl.diagnostics import Diagnostic


@dataclass(slots=True, eq=False)
class Variable:
    """A variable of a section. `slot` tells apart variables of one name in different blocks."""

    name: str
    slot: int
    assigned: bool = False
    implicit: bool = False
    constant: bool = False


@dataclass(frozen=True, slots=True)
class TaskVariable:
    """A variable declared at top level: number `index` of the file."""

    index: int


@dataclass(frozen=True, slots=True)
class Constant:
    value: Value


Symbol: TypeAlias = Variable | TaskVariable | Constant


@dataclass(frozen=True, slots=True)
class LocalSection:
    """A section of the same file."""

    name: str


@dataclass(frozen=True, slots=True)
class ExternalSection:
    """A section of another file, loaded when it is called first."""

    module: str
    name: str
    kind: str


@dataclass(frozen=True, slots=True)
class NamedSection:
    """`ProcCall` and `FuncCall`: the section is named by a value."""

    kind: str


Target: TypeAlias = LocalSection | ExternalSection | NamedSection | Builtin


@dataclass(slots=True)
class Scopes:
    """The names of one section: innermost block last."""

    blocks: list[dict[str, Symbol]]
    variables: list[Variable] = field(default_factory=list)
    first_read: dict[str, int] = field(default_factory=dict)

    def find(self, key: str) -> Symbol | None:
        for block in reversed(self.blocks):
            if key in block:
                return block[key]
        return None

    def declare(self, key: str, *, implicit: bool = False) -> Variable:
        variable = Variable(key, len(self.variables), implicit=implicit)
        self.variables.append(variable)
        self.blocks[0 if implicit else -1][key] = variable
        return variable


@dataclass(slots=True)
class Checked:
    """A tree with all its names resolved."""

    tree: s.Tree
    names: dict[s.Name | s.Item, Symbol] = field(default_factory=dict)
    calls: dict[s.Call, Target] = field(default_factory=dict)
    scopes: dict[s.Section, Scopes] = field(default_factory=dict)
    externals: dict[ExternalSection, int] = field(default_factory=dict)
    foreign: list[tuple[Builtin, int]] = field(default_factory=list)
    task_variables: int = 0
    warnings: list[Diagnostic] = field(default_factory=list)
