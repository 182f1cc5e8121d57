"""Python syntax nodes, each carrying the place in the program that it stands for.

Not the meaning of anything: `expressions` and `sections` put these together.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import TypeVar

from base.values import Value
from cgpl.diagnostics import SourceText
from cgpl.names import Checked

_Node = TypeVar("_Node", ast.FunctionDef, ast.arg)


class Pieces:
    """Makes nodes at the current place. `namespace` holds what the made code refers to by name."""

    def __init__(self, checked: Checked, source: SourceText, namespace: dict[str, object]) -> None:
        self._checked = checked
        self._source = source
        self._namespace = namespace
        self._temporaries = 0
        self._where = {"lineno": 1, "col_offset": 0, "end_lineno": 1, "end_col_offset": 1}
        self._places: dict[int, dict[str, int]] = {}

    def _stand(self, offset: int) -> None:
        """Nodes made from now on tell this place."""
        place = self._places.get(offset)
        if place is None:
            line, column = self._source.position(offset)
            place = {"lineno": line, "col_offset": column - 1, "end_lineno": line, "end_col_offset": column}
            self._places[offset] = place
        self._where = place

    def _placed(self, node: _Node) -> _Node:
        for name, value in self._where.items():
            setattr(node, name, value)
        return node

    def _temporary(self) -> str:
        self._temporaries += 1
        return f"t{self._temporaries}"

    def _keep(self, name: str, value: ast.expr) -> ast.expr:
        return ast.NamedExpr(target=self._store(name), value=value, **self._where)

    def _helper(self, name: str, *arguments: ast.expr) -> ast.expr:
        return self._call(self._load(name), arguments)

    def _call(self, function: ast.expr, arguments: Sequence[ast.expr]) -> ast.expr:
        return ast.Call(func=function, args=list(arguments), keywords=[], **self._where)

    def _attribute(self, name: str, attribute: str) -> ast.expr:
        return ast.Attribute(value=self._load(name), attr=attribute, ctx=ast.Load(), **self._where)

    def _load(self, name: str) -> ast.Name:
        return ast.Name(id=name, ctx=ast.Load(), **self._where)

    def _store(self, name: str) -> ast.Name:
        return ast.Name(id=name, ctx=ast.Store(), **self._where)

    def _constant(self, value: Value) -> ast.expr:
        if not isinstance(value, str | int | bytes | None):
            name = f"k_{len(self._namespace)}"
            self._namespace[name] = value
            return self._load(name)
        return ast.Constant(value=value, kind=None, **self._where)

    def _assign(self, targets: Sequence[ast.expr], value: ast.expr) -> ast.stmt:
        return ast.Assign(targets=list(targets), value=value, type_comment=None, **self._where)

    def _statement_of(self, expression: ast.expr) -> ast.stmt:
        return ast.Expr(value=expression, **self._where)
