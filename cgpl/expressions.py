"""Expressions as Python syntax: helpers with the language's semantics, and the common case of numbers on the spot.

A condition is made as a Python truth value, everything else as a value of the language.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import assert_never

from base.values import NUMBER_MAX, NUMBER_MIN, Value
from cgpl import operators
from cgpl import syntax as s
from cgpl.builtins.table import NOT_SUPPORTED, Builtin
from cgpl.names import Constant, ExternalSection, LocalSection, NamedSection, TaskVariable, Variable
from cgpl.pieces import Pieces
from cgpl.runtime import SLICE, HostCall, Program, StopTask

_HELPERS = {
    "+": "add",
    "-": "subtract",
    "*": "multiply",
    "/": "divide",
    "%": "modulo",
    "<": "less",
    ">": "greater",
    "<=": "at_most",
    ">=": "at_least",
    "==": "same_value",
    "!=": "other_value",
    "and": "both",
    "or": "either",
    "xor": "exactly_one",
}
_ARITHMETIC: dict[str, ast.operator] = {"+": ast.Add(), "-": ast.Sub(), "*": ast.Mult()}
_ORDER: dict[str, ast.cmpop] = {"<": ast.Lt(), ">": ast.Gt(), "<=": ast.LtE(), ">=": ast.GtE()}
_SIMPLE = (ast.Name, ast.Constant)
_FLAGS = frozenset(("<", ">", "<=", ">=", "==", "!=", "and", "or", "xor"))
_ELEMENTS = ("get_index", "set_index", "get_key", "set_key", "negate", "plus", "not_")


def helpers(program: Program) -> dict[str, object]:
    """The names that compiled code finds, before those of its own file are added."""
    named = {name: getattr(operators, name) for name in (*_HELPERS.values(), *_ELEMENTS)}
    return {
        **named,
        "__builtins__": {},
        "SLICE": SLICE,
        "HostCall": HostCall,
        "StopTask": StopTask,
        "PROGRAM": program,
        "no_value": _no_value,
        "not_supported": _not_supported,
        "type": type,
        "int": int,
        "MIN": NUMBER_MIN,
        "MAX": NUMBER_MAX,
    }


def _no_value(*_: Value) -> Value:
    return None


def _not_supported(*_: Value) -> Value:
    return NOT_SUPPORTED


class Expressions(Pieces):
    """Makes expressions and conditions."""

    def _value(self, expression: s.Expression) -> ast.expr:
        outer = self._where
        self._stand(expression.at)
        made = self._expression(expression)
        self._where = outer
        return made

    def _expression(self, expression: s.Expression) -> ast.expr:
        match expression:
            case s.Number() | s.Text():
                return self._constant(expression.value)
            case s.Literal_():
                return self._constant("YES" if expression.word == "true" else None)
            case s.Name():
                return self._name(expression)
            case s.Call():
                return self._called(expression)
            case s.Index():
                return self._helper("get_index", self._value(expression.subject), self._value(expression.index))
            case s.Key():
                return self._helper("get_key", self._value(expression.subject), self._constant(expression.name))
            case s.ComputedKey():
                return self._helper("get_key", self._value(expression.subject), self._value(expression.key))
            case s.Unary():
                return self._unary(expression)
            case s.Binary():
                return self._binary(expression)
            case s.Choice():
                chosen, otherwise = self._value(expression.chosen), self._value(expression.otherwise)
                return ast.IfExp(test=self._test(expression.test), body=chosen, orelse=otherwise, **self._where)
            case s.Spawn():
                return self._spawn(expression)
            case _:
                assert_never(expression)

    def _name(self, name: s.Name) -> ast.expr:
        match self._checked.names[name]:
            case Constant(value=value):
                return self._constant(value)
            case TaskVariable(index=index):
                return ast.Subscript(value=self._load("g"), slice=self._constant(index), ctx=ast.Load(), **self._where)
            case Variable() as variable:
                return self._load(variable_name(variable))

    def _stored(self, name: s.Name) -> ast.expr:
        symbol = self._checked.names[name]
        if isinstance(symbol, TaskVariable):
            index = self._constant(symbol.index)
            return ast.Subscript(value=self._load("g"), slice=index, ctx=ast.Store(), **self._where)
        assert isinstance(symbol, Variable)
        return self._store(variable_name(symbol))

    def _unary(self, expression: s.Unary) -> ast.expr:
        if expression.operator == "-" and isinstance(expression.operand, s.Number):
            return self._constant(operators.negate(expression.operand.value))
        helper = {"-": "negate", "+": "plus", "not": "not_"}[expression.operator]
        return self._helper(helper, self._value(expression.operand))

    def _binary(self, expression: s.Binary) -> ast.expr:
        match expression.operator:
            case "and-then":
                right = self._value(expression.right)
                return ast.IfExp(
                    test=self._test(expression.left), body=right, orelse=self._constant(None), **self._where
                )
            case "or-else":
                kept = self._temporary()
                left = self._keep(kept, self._value(expression.left))
                right = self._value(expression.right)
                return ast.IfExp(test=self._not_null(left), body=self._load(kept), orelse=right, **self._where)
            case operator:
                return self._operation(operator, self._value(expression.left), self._value(expression.right))

    def _operation(self, operator: str, left: ast.expr, right: ast.expr) -> ast.expr:
        """A call of the helper; for numbers the common case of `+`, `-` and `*` is worked out on the spot."""
        sign = _ARITHMETIC.get(operator)
        pair = None if sign is None else self._numbers(left, right)
        if sign is None or pair is None:
            return self._helper(_HELPERS[operator], left, right)
        checks, left, right = pair
        result = self._temporary()
        worked_out = self._keep(result, ast.BinOp(left=left, op=sign, right=right, **self._where))
        fits = ast.Compare(
            left=self._load("MIN"),
            ops=[ast.LtE(), ast.LtE()],
            comparators=[worked_out, self._load("MAX")],
            **self._where,
        )
        test = ast.BoolOp(op=ast.And(), values=[*checks, fits], **self._where)
        otherwise = self._helper(_HELPERS[operator], left, right)
        return ast.IfExp(test=test, body=self._load(result), orelse=otherwise, **self._where)

    def _numbers(self, left: ast.expr, right: ast.expr) -> tuple[list[ast.expr], ast.expr, ast.expr] | None:
        """Checks that both operands are numbers, and the operands to use after them; None when that is not worth it.

        An operand that is no name or number is kept in a temporary by its check, which therefore comes first.
        """
        if not isinstance(right, _SIMPLE):
            if not isinstance(left, _SIMPLE):
                return None
            kept = self._temporary()
            first, right = self._keep(kept, right), self._load(kept)
            others = [left]
        elif not isinstance(left, _SIMPLE):
            kept = self._temporary()
            first, left = self._keep(kept, left), self._load(kept)
            others = [right]
        else:
            first, others = left, [right]
        operands = [operand for operand in (first, *others) if not isinstance(operand, ast.Constant)]
        constants = [operand.value for operand in (left, right) if isinstance(operand, ast.Constant)]
        if not operands or any(type(value) is not int for value in constants):
            return None
        return [self._is_number(operand) for operand in operands], left, right

    def _is_number(self, value: ast.expr) -> ast.expr:
        kind = self._call(self._load("type"), [value])
        return ast.Compare(left=kind, ops=[ast.Is()], comparators=[self._load("int")], **self._where)

    def _spawn(self, spawn: s.Spawn) -> ast.expr:
        argument = self._constant(None) if spawn.argument is None else self._value(spawn.argument)
        return self._host_call("spawn", [self._constant(spawn.entry.lower()), argument], None)

    def _called(self, call: s.Call) -> ast.expr:
        target = self._checked.calls[call]
        arguments = [self._value(argument) for argument in call.all_args]
        match target:
            case LocalSection(name=name):
                return self._delegate(self._load(f"s_{name}"), arguments)
            case ExternalSection(module=module, name=name, kind=kind):
                where = [self._constant(part) for part in (module, name, kind, len(arguments))]
                return self._delegate(self._call(self._attribute("T", "link"), where), arguments)
            case NamedSection(kind=kind):
                section = [self._constant(kind), arguments[0], self._constant(len(arguments) - 1)]
                return self._delegate(self._call(self._attribute("T", "named"), section), arguments[1:])
            case Builtin() as builtin:
                return self._builtin(builtin, arguments)

    def _builtin(self, builtin: Builtin, arguments: list[ast.expr]) -> ast.expr:
        if builtin.suspends:
            return self._host_call(builtin.key, arguments, builtin)
        if builtin.function is None:
            # The arguments still have their effects.
            return self._helper("no_value" if builtin.kind == "P" else "not_supported", *arguments)
        name = f"b_{builtin.key}"
        self._namespace[name] = builtin.function
        return self._call(self._load(name), [self._load("T"), *arguments])

    def _host_call(self, name: str, arguments: list[ast.expr], builtin: Builtin | None) -> ast.expr:
        self._namespace[f"h_{name}"] = builtin
        values = ast.Tuple(elts=arguments, ctx=ast.Load(), **self._where)
        made = [self._constant(name), values, self._load("PROGRAM"), self._load(f"h_{name}")]
        return ast.Yield(value=self._call(self._load("HostCall"), made), **self._where)

    def _delegate(self, function: ast.expr, arguments: Sequence[ast.expr]) -> ast.expr:
        return ast.YieldFrom(value=self._call(function, [self._load("T"), *arguments]), **self._where)

    # Conditions: a Python truth value instead of YES or null

    def _test(self, expression: s.Expression) -> ast.expr:
        outer = self._where
        self._stand(expression.at)
        made = self._condition(expression)
        self._where = outer
        return made

    def _condition(self, expression: s.Expression) -> ast.expr:
        match expression:
            case s.Unary(operator="not", operand=operand):
                return ast.UnaryOp(op=ast.Not(), operand=self._test(operand), **self._where)
            case s.Binary(operator="and-then", left=left, right=right):
                return ast.BoolOp(op=ast.And(), values=[self._test(left), self._test(right)], **self._where)
            case s.Binary(operator="or-else", left=left, right=right):
                return ast.BoolOp(op=ast.Or(), values=[self._test(left), self._test(right)], **self._where)
            case s.Binary(operator="==" | "!=" as operator, left=left, right=right) if _plain(right):
                return self._compare_plain(operator, left, right)
            case s.Binary(operator=operator, left=left, right=right) if operator in _ORDER:
                return self._ordered(operator, self._value(left), self._value(right))
            case s.Binary(operator=operator) if operator in _FLAGS:
                return self._value(expression)
            case _:
                return self._not_null(self._value(expression))

    def _compare_plain(self, operator: str, left: s.Expression, right: s.Expression) -> ast.expr:
        """A comparison with a literal: Python's own is right then."""
        compared, value = self._value(left), self._value(right)
        if isinstance(compared, ast.Constant):
            return self._helper(_HELPERS[operator], compared, value)
        null = isinstance(value, ast.Constant) and value.value is None
        if operator == "==":
            comparison: ast.cmpop = ast.Is() if null else ast.Eq()
        else:
            comparison = ast.IsNot() if null else ast.NotEq()
        return ast.Compare(left=compared, ops=[comparison], comparators=[value], **self._where)

    def _ordered(self, operator: str, left: ast.expr, right: ast.expr) -> ast.expr:
        pair = self._numbers(left, right)
        if pair is None:
            return self._helper(_HELPERS[operator], left, right)
        checks, left, right = pair
        quick = ast.Compare(left=left, ops=[_ORDER[operator]], comparators=[right], **self._where)
        numbers = checks[0] if len(checks) == 1 else ast.BoolOp(op=ast.And(), values=checks, **self._where)
        otherwise = self._helper(_HELPERS[operator], left, right)
        return ast.IfExp(test=numbers, body=quick, orelse=otherwise, **self._where)

    def _not_null(self, value: ast.expr) -> ast.expr:
        if isinstance(value, ast.Constant):
            return self._constant(value.value is not None)
        return ast.Compare(left=value, ops=[ast.IsNot()], comparators=[self._constant(None)], **self._where)


def variable_name(variable: Variable) -> str:
    return f"v{variable.slot}_{variable.name}"


def _plain(expression: s.Expression) -> bool:
    return isinstance(expression, s.Number | s.Text | s.Literal_)
