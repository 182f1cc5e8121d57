"""Sections and statements as Python syntax: a section becomes a generator function that counts its steps."""

from __future__ import annotations

import ast
from typing import TypeAlias, assert_never

from cgpl import syntax as s
from cgpl.builtins.table import Builtin
from cgpl.diagnostics import SourceText
from cgpl.expressions import Expressions, variable_name
from cgpl.names import Checked, Variable

Code: TypeAlias = list[ast.stmt]


def python_name(section: s.Section) -> str:
    return f"{'e' if section.kind == 'entry' else 's'}_{section.key}"


class SectionCode(Expressions):
    """Makes the generator function of one section."""

    def __init__(self, checked: Checked, source: SourceText, namespace: dict[str, object], section: s.Section) -> None:
        super().__init__(checked, source, namespace)
        self._section = section

    def build(self) -> ast.stmt:
        section = self._section
        self._stand(section.at)
        body = self._block(section.body)
        self._stand(section.at)
        code: Code = [*self._prologue(), *body, *self._leave(None)]
        # Never reached; it makes every section a generator function.
        code.append(self._statement_of(ast.Yield(value=None, **self._where)))
        arguments = ast.arguments(
            posonlyargs=[],
            args=[self._argument("T"), *(self._argument(self._local(name)) for name in section.parameters)],
            kwonlyargs=[],
            kw_defaults=[],
            defaults=[],
        )
        function = ast.FunctionDef(name=python_name(section), args=arguments, body=code, decorator_list=[])
        if "type_params" in ast.FunctionDef._fields:  # Python 3.12 demands it.
            setattr(function, "type_params", [])  # noqa: B010
        return self._placed(function)

    def _local(self, name: s.Name) -> str:
        symbol = self._checked.names[name]
        assert isinstance(symbol, Variable)
        return variable_name(symbol)

    def _argument(self, name: str) -> ast.arg:
        return self._placed(ast.arg(arg=name))

    def _prologue(self) -> Code:
        """Count the call and its statements, and give each variable its null."""
        code: Code = [self._count("depth", ast.Sub(), 1), self._if_negative("depth", self._too_deep())]
        code += self._spend(_straight(self._section.body))
        if self._checked.task_variables and self._section.body.statements:
            variables = self._call(self._attribute("T", "variables"), [self._load("PROGRAM")])
            code.append(self._assign([self._store("g")], variables))
        implicit = [v for v in self._checked.scopes[self._section].variables if v.implicit]
        if implicit:
            code.append(self._assign([self._store(variable_name(v)) for v in implicit], self._constant(None)))
        return code

    def _too_deep(self) -> ast.stmt:
        return self._statement_of(self._call(self._attribute("T", "too_deep"), []))

    def _leave(self, value: ast.expr | None) -> Code:
        result = self._constant(None) if value is None else value
        if isinstance(result, ast.Constant | ast.Name):
            return [self._count("depth", ast.Add(), 1), ast.Return(value=result, **self._where)]
        kept = self._assign([self._store("r")], result)
        return [kept, self._count("depth", ast.Add(), 1), ast.Return(value=self._load("r"), **self._where)]

    def _spend(self, steps: int) -> Code:
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

    def _block(self, block: s.Block) -> Code:
        code: Code = []
        for statement in block.statements:
            self._stand(statement.at)
            self._temporaries = 0
            code += self._statement(statement)
        return code or [ast.Pass(**self._where)]

    def _statement(self, statement: s.Statement) -> Code:
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

    def _return(self, statement: s.Return) -> Code:
        return self._leave(None if statement.value is None else self._value(statement.value))

    def _declare(self, declaration: s.Declare) -> Code:
        code: Code = []
        for item in declaration.items:
            symbol = self._checked.names.get(item)
            if isinstance(symbol, Variable):
                value = self._constant(None) if item.value is None else self._value(item.value)
                code.append(self._assign([self._store(variable_name(symbol))], value))
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

    def _call_statement(self, statement: s.CallStatement) -> Code:
        target = self._checked.calls[statement.call]
        if isinstance(target, Builtin) and target.key == "void":
            return [self._statement_of(self._value(argument)) for argument in statement.call.all_args]
        return [self._statement_of(self._value(statement.call))]

    def _if(self, statement: s.If) -> Code:
        following: Code = [] if statement.otherwise is None else self._block(statement.otherwise)
        for branch in reversed(statement.branches):
            body = self._block(branch.body)
            self._stand(branch.at)
            test = self._test(branch.test)
            following = [ast.If(test=test, body=body, orelse=following, **self._where)]
        return following

    def _loop(self, statement: s.Loop) -> Code:
        code = [] if statement.first is None else [self._assignment(statement.first)]
        test: ast.expr = self._constant(True) if statement.test is None else self._test(statement.test)
        body = self._spend(_straight(statement.body) + 1) + self._block(statement.body)
        if statement.step is not None:
            self._stand(statement.step.at)
            body.append(self._assignment(statement.step))
        self._stand(statement.at)
        code.append(ast.While(test=test, body=body, orelse=[], **self._where))
        return code


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
