"""From a checked tree to Python generator functions, through `ast`: no text of a program is ever handed to Python.

Each section becomes a generator function; each name becomes a prefixed local; each operation calls a helper with the
language's semantics; loops and sections count their steps and give way when a slice is over. What waits for the host is
a `yield`. Line and column of the program stay in the code, so that a fault tells its place.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Sequence
from typing import TypeAlias, TypeVar, assert_never, cast

from base.values import NUMBER_MAX, NUMBER_MIN, Value
from cgpl import operators
from cgpl import syntax as s
from cgpl.builtins.table import NOT_SUPPORTED, Builtin, BuiltinTable
from cgpl.checker import (
    Checked,
    Constant,
    ExternalSection,
    LocalSection,
    NamedSection,
    TaskVariable,
    Variable,
    check,
)
from cgpl.diagnostics import CompileError, Severity, SourceText, diagnose
from cgpl.parser import decode, parse
from cgpl.runtime import CODE_MARK, SLICE, Entry, External, HostCall, Program, Section, StopTask

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

_Code: TypeAlias = list[ast.stmt]
_Node = TypeVar("_Node", ast.FunctionDef, ast.arg)


def compile_program(source: bytes | str, filename: str, builtins: BuiltinTable) -> Program:
    """Compile a file. Raises CompileError with everything that is wrong."""
    text = SourceText(filename, decode(source))
    try:
        return _compiled(check(parse(text), text, builtins), text)
    except RecursionError:
        raise CompileError([diagnose(text, Severity.ERROR, 0, "the program is too deeply nested")]) from None


def _compiled(checked: Checked, text: SourceText) -> Program:
    program = Program(text.filename, text, tuple(checked.warnings), task_variables=checked.task_variables)
    program.externals = tuple(
        External(target.module, target.name, target.kind, text.position(at)[0])
        for target, at in checked.externals.items()
    )
    _Compiler(checked, text, program).run()
    return program


class ProgramCache:
    """Compiled programs by content, so that unchanged files are compiled once."""

    def __init__(self, builtins: BuiltinTable, capacity: int = 256) -> None:
        self._builtins = builtins
        self._capacity = capacity
        self._programs: dict[bytes, Program] = {}

    def compile(self, source: bytes, filename: str) -> Program:
        """The compiled program. Raises CompileError."""
        key = hashlib.sha256(filename.encode("utf-8", "surrogateescape") + b"\0" + source).digest()
        program = self._programs.pop(key, None) or compile_program(source, filename, self._builtins)
        self._programs[key] = program
        if len(self._programs) > self._capacity:
            del self._programs[next(iter(self._programs))]
        return program


class _Compiler:
    """Makes the code of one file."""

    def __init__(self, checked: Checked, source: SourceText, program: Program) -> None:
        self._checked = checked
        self._source = source
        self._program = program
        self._namespace: dict[str, object] = {
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
        for name in (*_HELPERS.values(), *_ELEMENTS):
            self._namespace[name] = getattr(operators, name)

    def run(self) -> None:
        sections = [item for item in self._checked.tree.items if isinstance(item, s.Section) and item.linkage == "body"]
        functions: _Code = [
            _SectionCode(self._checked, self._source, self._namespace, item).build() for item in sections
        ]
        module = ast.Module(body=functions, type_ignores=[])
        try:
            code = compile(module, CODE_MARK + self._program.filename, "exec", dont_inherit=True)
        except (RecursionError, SyntaxError, MemoryError) as error:
            message = f"the program is too large or too deeply nested ({type(error).__name__})"
            raise CompileError([diagnose(self._source, Severity.ERROR, 0, message)]) from None
        exec(code, self._namespace)
        for section in sections:
            function = cast(Section, self._namespace[_python_name(section)])
            if section.kind == "entry":
                self._program.entries[section.key] = function
            else:
                self._program.sections[section.key] = Entry(section.kind, len(section.parameters), function)


def _python_name(section: s.Section) -> str:
    return f"{'e' if section.kind == 'entry' else 's'}_{section.key}"


class _SectionCode:
    """Makes the generator function of one section."""

    def __init__(self, checked: Checked, source: SourceText, namespace: dict[str, object], section: s.Section) -> None:
        self._checked = checked
        self._source = source
        self._namespace = namespace
        self._section = section
        self._temporaries = 0
        self._where = {"lineno": 1, "col_offset": 0, "end_lineno": 1, "end_col_offset": 1}
        self._places: dict[int, dict[str, int]] = {}

    def build(self) -> ast.stmt:
        section = self._section
        self._stand(section.at)
        body = self._block(section.body)
        self._stand(section.at)
        code: _Code = [*self._prologue(), *body, *self._leave(None)]
        # Never reached; it makes every section a generator function.
        code.append(self._statement_of(ast.Yield(value=None, **self._where)))
        arguments = ast.arguments(
            posonlyargs=[],
            args=[self._argument("T"), *(self._argument(self._local(name)) for name in section.parameters)],
            kwonlyargs=[],
            kw_defaults=[],
            defaults=[],
        )
        function = ast.FunctionDef(name=_python_name(section), args=arguments, body=code, decorator_list=[])
        if "type_params" in ast.FunctionDef._fields:  # Python 3.12 demands it.
            setattr(function, "type_params", [])  # noqa: B010
        return self._placed(function)

    def _argument(self, name: str) -> ast.arg:
        return self._placed(ast.arg(arg=name))

    def _prologue(self) -> _Code:
        """Count the call and its statements, and give each variable its null."""
        code: _Code = [self._count("depth", ast.Sub(), 1), self._if_negative("depth", self._too_deep())]
        code += self._spend(_straight(self._section.body))
        if self._checked.task_variables and self._section.body.statements:
            variables = self._call(self._attribute("T", "variables"), [self._load("PROGRAM")])
            code.append(self._assign([self._store("g")], variables))
        implicit = [v for v in self._checked.scopes[self._section].variables if v.implicit]
        if implicit:
            code.append(self._assign([self._store(_variable(v)) for v in implicit], self._constant(None)))
        return code

    def _too_deep(self) -> ast.stmt:
        return self._statement_of(self._call(self._attribute("T", "too_deep"), []))

    def _leave(self, value: ast.expr | None) -> _Code:
        result = self._constant(None) if value is None else value
        if isinstance(result, ast.Constant | ast.Name):
            return [self._count("depth", ast.Add(), 1), ast.Return(value=result, **self._where)]
        kept = self._assign([self._store("r")], result)
        return [kept, self._count("depth", ast.Add(), 1), ast.Return(value=self._load("r"), **self._where)]

    def _spend(self, steps: int) -> _Code:
        give_way = self._statement_of(ast.Yield(value=self._load("SLICE"), **self._where))
        return [self._count("left", ast.Sub(), steps), self._if_negative("left", give_way)]

    def _count(self, name: str, operation: ast.operator, amount: int) -> ast.stmt:
        target = ast.Attribute(value=self._load("T"), attr=name, ctx=ast.Store(), **self._where)
        return ast.AugAssign(target=target, op=operation, value=self._constant(amount), **self._where)

    def _if_negative(self, name: str, action: ast.stmt) -> ast.stmt:
        test = ast.Compare(
            left=self._attribute("T", name), ops=[ast.Lt()], comparators=[self._constant(0)], **self._where
        )
        return ast.If(test=test, body=[action], orelse=[], **self._where)

    # Statements

    def _block(self, block: s.Block) -> _Code:
        code: _Code = []
        for statement in block.statements:
            self._stand(statement.at)
            self._temporaries = 0
            code += self._statement(statement)
        return code or [ast.Pass(**self._where)]

    def _statement(self, statement: s.Statement) -> _Code:
        match statement:
            case s.Nothing():
                return []
            case s.Stop():
                return [ast.Raise(exc=self._load("StopTask"), cause=None, **self._where)]
            case s.Return():
                return self._return(statement)
            case s.ExitIf():
                test = self._test(statement.test)
                return [ast.If(test=test, body=[ast.Break(**self._where)], orelse=[], **self._where)]
            case s.Declare():
                return self._declare(statement)
            case s.Assign():
                return [self._assignment(statement)]
            case s.CallStatement():
                return self._call_statement(statement)
            case s.If():
                return self._if(statement)
            case s.Loop():
                return self._loop(statement)
            case _:
                assert_never(statement)

    def _return(self, statement: s.Return) -> _Code:
        return self._leave(None if statement.value is None else self._value(statement.value))

    def _declare(self, declaration: s.Declare) -> _Code:
        code: _Code = []
        for item in declaration.items:
            symbol = self._checked.names.get(item)
            if isinstance(symbol, Variable):
                value = self._constant(None) if item.value is None else self._value(item.value)
                code.append(self._assign([self._store(_variable(symbol))], value))
        return code

    def _assignment(self, statement: s.Assign) -> ast.stmt:
        target = statement.target
        match target:
            case s.Name():
                value = self._value(statement.value)
                if statement.operator:
                    value = self._operation(statement.operator, self._value(target), value)
                return self._assign([self._stored(target)], value)
            case s.Index():
                return self._element(statement, "index", target.subject, self._value(target.index))
            case s.Key():
                return self._element(statement, "key", target.subject, self._constant(target.name))
            case s.ComputedKey():
                return self._element(statement, "key", target.subject, self._value(target.key))
            case _:
                raise AssertionError(target)

    def _element(self, statement: s.Assign, kind: str, subject: s.Expression, place: ast.expr) -> ast.stmt:
        """`subject[place] = value`; a compound form evaluates subject and place once."""
        of = self._value(subject)
        if not statement.operator:
            return self._statement_of(self._helper(f"set_{kind}", of, place, self._value(statement.value)))
        kept_of, kept_place = self._temporary(), self._temporary()
        old = self._helper(f"get_{kind}", self._load(kept_of), self._load(kept_place))
        value = self._operation(statement.operator, old, self._value(statement.value))
        return self._statement_of(
            self._helper(f"set_{kind}", self._keep(kept_of, of), self._keep(kept_place, place), value)
        )

    def _call_statement(self, statement: s.CallStatement) -> _Code:
        target = self._checked.calls[statement.call]
        if isinstance(target, Builtin) and target.key == "void":
            return [self._statement_of(self._value(argument)) for argument in statement.call.all_args]
        return [self._statement_of(self._value(statement.call))]

    def _if(self, statement: s.If) -> _Code:
        following: _Code = [] if statement.otherwise is None else self._block(statement.otherwise)
        for branch in reversed(statement.branches):
            body = self._block(branch.body)
            self._stand(branch.at)
            test = self._test(branch.test)
            following = [ast.If(test=test, body=body, orelse=following, **self._where)]
        return following

    def _loop(self, statement: s.Loop) -> _Code:
        code = [] if statement.first is None else [self._assignment(statement.first)]
        test: ast.expr = self._constant(True) if statement.test is None else self._test(statement.test)
        body = self._spend(_straight(statement.body) + 1) + self._block(statement.body)
        if statement.step is not None:
            self._stand(statement.step.at)
            body.append(self._assignment(statement.step))
        self._stand(statement.at)
        code.append(ast.While(test=test, body=body, orelse=[], **self._where))
        return code

    # Expressions

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
                return self._load(_variable(variable))

    def _stored(self, name: s.Name) -> ast.expr:
        symbol = self._checked.names[name]
        if isinstance(symbol, TaskVariable):
            index = self._constant(symbol.index)
            return ast.Subscript(value=self._load("g"), slice=index, ctx=ast.Store(), **self._where)
        assert isinstance(symbol, Variable)
        return self._store(_variable(symbol))

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

    # Pieces

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

    def _local(self, name: s.Name) -> str:
        symbol = self._checked.names[name]
        assert isinstance(symbol, Variable)
        return _variable(symbol)

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


def _no_value(*_: Value) -> Value:
    return None


def _not_supported(*_: Value) -> Value:
    return NOT_SUPPORTED


def _variable(variable: Variable) -> str:
    return f"v{variable.slot}_{variable.name}"


def _plain(expression: s.Expression) -> bool:
    return isinstance(expression, s.Number | s.Text | s.Literal_)


def _straight(block: s.Block) -> int:
    """How many statements one run through the block takes at most, loops inside not counted."""
    return sum(_weight(statement) for statement in block.statements) or 1


def _weight(statement: s.Statement) -> int:
    match statement:
        case s.If(branches=branches, otherwise=otherwise):
            blocks = [branch.body for branch in branches] + ([otherwise] if otherwise else [])
            return 1 + max(_straight(block) for block in blocks)
        case _:
            return 1
