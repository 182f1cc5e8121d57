"""Resolves every name of a syntax tree and refuses what the language does not allow.

Not a type checker: values have types, names have none. What is only doubtful is a warning, because programs written
for other servers must go on compiling.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import assert_never

from base.values import Value
from cgpl import operators
from cgpl import syntax as s
from cgpl.builtins.table import Builtin, BuiltinTable
from cgpl.complaints import KEYWORDS
from cgpl.diagnostics import CompileError, Diagnostic, ProgramFault, Severity, SourceText, diagnose, suggest
from cgpl.names import (
    Checked,
    Constant,
    ExternalSection,
    LocalSection,
    NamedSection,
    Scopes,
    Symbol,
    TaskVariable,
    Variable,
)

LOOP_DEPTH = 19  # Limit: CPython compiles at most 20 nested blocks in one function.
BRANCHES = 300  # Limit: `elif` parts of one statement.


def check(tree: s.Tree, source: SourceText, builtins: BuiltinTable) -> Checked:
    """The tree resolved. Raises CompileError with everything found."""
    checker = _Checker(tree, source, builtins)
    checker.run()
    if any(found.severity is Severity.ERROR for found in checker.found):
        raise CompileError(checker.found)
    checker.checked.warnings = checker.found
    return checker.checked


@dataclass(slots=True)
class _Known:
    """A section as far as it is known at some point of the file."""

    kind: s.SectionKind
    parameters: int
    at: int
    target: LocalSection | ExternalSection
    defined: bool


class _Checker:
    def __init__(self, tree: s.Tree, source: SourceText, builtins: BuiltinTable) -> None:
        self.checked = Checked(tree)
        self.found: list[Diagnostic] = []
        self._source = source
        self._builtins = builtins
        self._sections: dict[tuple[str, str], _Known] = {}
        self._globals: dict[str, Symbol] = {}
        self._entries = {item.key for item in tree.items if isinstance(item, s.Section) and item.kind == "entry"}
        self._later = {item.key for item in tree.items if isinstance(item, s.Section) and item.linkage == "body"}
        self._scopes = Scopes([{}])
        self._section: s.Section | None = None
        self._loops = 0

    def error(self, at: int, message: str, hint: str = "") -> None:
        self.found.append(diagnose(self._source, Severity.ERROR, at, message, hint))

    def warning(self, at: int, message: str, hint: str = "") -> None:
        self.found.append(diagnose(self._source, Severity.WARNING, at, message, hint))

    # The file

    def run(self) -> None:
        entries: set[str] = set()
        for item in self.checked.tree.items:
            match item:
                case s.Declare():
                    self._top_declaration(item)
                case s.Section(kind="entry"):
                    if item.key in entries:
                        self.error(item.at, f"entry '{item.name}' is defined twice")
                    entries.add(item.key)
                    self._body(item)
                case s.Section():
                    self._declare_section(item)
                    if item.linkage == "body":
                        self._body(item)
                case _:
                    assert_never(item)
        for known in self._sections.values():
            if not known.defined:
                self.error(known.at, f"'{known.target.name}' is declared forward and never defined")

    def _top_declaration(self, declaration: s.Declare) -> None:
        for item in declaration.items:
            if item.key in self._globals:
                self.warning(item.at, f"'{item.name}' is declared twice")
            if declaration.constant:
                self._globals[item.key] = Constant(self._constant(item))
                continue
            if item.value is not None:
                self.error(item.at, "a variable of the task has no initial value", "assign it in the entry")
            self._globals[item.key] = TaskVariable(self.checked.task_variables)
            self.checked.task_variables += 1

    def _constant(self, item: s.Item) -> Value:
        if item.value is None:
            self.error(item.at, f"constant '{item.name}' has no value")
            return None
        try:
            return self._folded(item.value)
        except (ProgramFault, LookupError):
            self.error(item.at, f"the value of constant '{item.name}' is not constant")
            return None

    def _folded(self, expression: s.Expression) -> Value:
        """The value of a constant expression. Raises LookupError when it is none."""
        match expression:
            case s.Number() | s.Text():
                return expression.value
            case s.Literal_():
                return "YES" if expression.word == "true" else None
            case s.Name():
                symbol = self._scopes.find(expression.key) or self._globals.get(expression.key)
                if isinstance(symbol, Constant):
                    return symbol.value
            case s.Unary():
                return operators.UNARY[expression.operator](self._folded(expression.operand))
            case s.Binary(operator=operator) if operator in operators.BINARY:
                return operators.BINARY[operator](self._folded(expression.left), self._folded(expression.right))
        raise LookupError

    def _declare_section(self, section: s.Section) -> None:
        module = section.module.lower()
        key = (module, section.key)
        if section.linkage == "external":
            target: LocalSection | ExternalSection = ExternalSection(module or section.key, section.key, section.kind)
            self._sections.setdefault(key, _Known(section.kind, len(section.parameters), section.at, target, True))
            return
        known = self._sections.get(key)
        made = _Known(section.kind, len(section.parameters), section.at, LocalSection(section.key), False)
        made.defined = section.linkage == "body"
        if known is not None and isinstance(known.target, LocalSection):
            if known.defined and made.defined:
                self.error(section.at, f"'{section.name}' is defined twice")
            elif (known.kind, known.parameters) != (made.kind, made.parameters):
                self.error(section.at, f"'{section.name}' differs from its forward declaration")
            made.defined |= known.defined
        self._sections[key] = made
        if module:
            # A module may spell its own section either `f` or `m::f`.
            self._sections["", section.key] = made

    def _body(self, section: s.Section) -> None:
        self._section = section
        self._scopes = Scopes([{}])
        self.checked.scopes[section] = self._scopes
        for parameter in section.parameters:
            if parameter.key in self._scopes.blocks[0]:
                self.error(parameter.at, f"parameter '{parameter.name}' stands twice")
            variable = self._scopes.declare(parameter.key)
            variable.assigned = True
            self.checked.names[parameter] = variable
        self._scopes.blocks.append({})
        self._statements(section.body, in_loop=False)
        if section.kind == "function" and not _always_returns(section.body):
            self.warning(section.at, f"function '{section.name}' may end without 'return': the result is null then")
        for variable in self._scopes.variables:
            if variable.implicit and not variable.assigned:
                known = [other.name for other in self._scopes.variables if other.assigned]
                at = self._scopes.first_read[variable.name]
                hint = suggest(variable.name, known)
                self.warning(at, f"'{variable.name}' is never given a value: it is null", hint)

    # Statements

    def _block(self, block: s.Block, *, in_loop: bool = False) -> None:
        self._scopes.blocks.append({})
        self._statements(block, in_loop=in_loop)
        self._scopes.blocks.pop()

    def _statements(self, block: s.Block, *, in_loop: bool) -> None:
        for statement in block.statements:
            self._statement(statement, in_loop)

    def _statement(self, statement: s.Statement, in_loop: bool) -> None:
        match statement:
            case s.Nothing() | s.Stop():
                pass
            case s.Return():
                self._return(statement)
            case s.ExitIf():
                if not in_loop:
                    self.error(statement.at, "'exitif' stands directly inside a loop only")
                self._expression(statement.test)
            case s.Declare():
                self._declaration(statement)
            case s.Assign():
                self._assignment(statement)
            case s.CallStatement():
                self._call(statement.call, as_statement=True)
            case s.If():
                self._if(statement)
            case s.Loop():
                self._loop(statement)
            case _:
                assert_never(statement)

    def _return(self, statement: s.Return) -> None:
        assert self._section is not None
        if statement.value is not None:
            self._expression(statement.value)
            if self._section.kind != "function":
                self.warning(statement.at, f"the value returned by a {self._section.kind} is dropped")
        elif self._section.kind == "function":
            self.warning(statement.at, "a function returns a value: null is returned")

    def _declaration(self, declaration: s.Declare) -> None:
        for item in declaration.items:
            if item.value is not None:
                self._expression(item.value)
            if item.key in self._scopes.blocks[-1]:
                self.warning(item.at, f"'{item.name}' is declared twice in this block")
            if declaration.constant:
                self._local_constant(item)
                continue
            variable = self._scopes.declare(item.key)
            variable.assigned = True
            self.checked.names[item] = variable

    def _local_constant(self, item: s.Item) -> None:
        """A constant whose value is only known at run time is a variable that is assigned once."""
        try:
            value = self._folded(item.value) if item.value is not None else self._constant(item)
        except (ProgramFault, LookupError):
            variable = self._scopes.declare(item.key)
            variable.assigned = variable.constant = True
            self.checked.names[item] = variable
        else:
            self.checked.names[item] = self._scopes.blocks[-1][item.key] = Constant(value)

    def _assignment(self, statement: s.Assign) -> None:
        self._expression(statement.value)
        match statement.target:
            case s.Name() as name:
                self._assigned(name, statement.declares)
            case s.Index() | s.Key() | s.ComputedKey() as element:
                self._expression(element)
            case _:
                raise AssertionError(statement.target)

    def _assigned(self, name: s.Name, declares: bool) -> None:
        symbol = self._scopes.find(name.key) or self._globals.get(name.key)
        if declares:
            symbol = self._scopes.declare(name.key)
        elif symbol is None:
            symbol = self._scopes.declare(name.key, implicit=True)
        if isinstance(symbol, Constant) or (isinstance(symbol, Variable) and symbol.constant):
            self.error(name.at, f"'{name.name}' is a constant")
        elif isinstance(symbol, Variable):
            symbol.assigned = True
        self.checked.names[name] = symbol

    def _if(self, statement: s.If) -> None:
        if len(statement.branches) > BRANCHES:
            self.error(statement.at, f"more than {BRANCHES} branches in one 'if'")
        for branch in statement.branches:
            self._expression(branch.test)
            self._block(branch.body)
        if statement.otherwise is not None:
            self._block(statement.otherwise)

    def _loop(self, statement: s.Loop) -> None:
        self._loops += 1
        if self._loops > LOOP_DEPTH:
            self.error(
                statement.at, f"more than {LOOP_DEPTH} loops inside one another", "move the inner ones to a section"
            )
        self._scopes.blocks.append({})
        if statement.first is not None:
            self._assignment(statement.first)
        if statement.test is not None:
            self._expression(statement.test)
        self._block(statement.body, in_loop=True)
        if statement.step is not None:
            self._assignment(statement.step)
        self._scopes.blocks.pop()
        self._loops -= 1

    # Expressions

    def _expression(self, expression: s.Expression) -> None:
        match expression:
            case s.Number() | s.Text() | s.Literal_():
                pass
            case s.Name():
                self._read(expression)
            case s.Call():
                self._call(expression, as_statement=False)
            case s.Index():
                self._expression(expression.subject)
                self._expression(expression.index)
            case s.Key():
                self._expression(expression.subject)
            case s.ComputedKey():
                self._expression(expression.subject)
                self._expression(expression.key)
            case s.Unary():
                self._expression(expression.operand)
            case s.Binary():
                self._expression(expression.left)
                self._expression(expression.right)
            case s.Choice():
                self._expression(expression.test)
                self._expression(expression.chosen)
                self._expression(expression.otherwise)
            case s.Spawn():
                self._spawn(expression)
            case _:
                assert_never(expression)

    def _read(self, name: s.Name) -> None:
        symbol = self._scopes.find(name.key) or self._globals.get(name.key)
        if symbol is None:
            symbol = self._scopes.declare(name.key, implicit=True)
            self._scopes.first_read[name.key] = name.at
        self.checked.names[name] = symbol

    def _spawn(self, spawn: s.Spawn) -> None:
        if spawn.entry.lower() not in self._entries:
            self.error(spawn.at, f"there is no entry '{spawn.entry}' to spawn", suggest(spawn.entry, self._entries))
        if spawn.argument is not None:
            self._expression(spawn.argument)

    def _call(self, call: s.Call, *, as_statement: bool) -> None:
        for argument in call.all_args:
            self._expression(argument)
        known = self._sections.get((call.module.lower(), call.name.lower()))
        if known is not None:
            self._section_call(call, known, as_statement)
            return
        builtin = None if call.module else self._builtins.find(call.name)
        if builtin is None:
            self._unknown(call)
            return
        self._builtin_call(call, builtin, as_statement)

    def _section_call(self, call: s.Call, known: _Known, as_statement: bool) -> None:
        given = len(call.all_args)
        if given != known.parameters:
            self.error(call.at, f"'{call.name}' has {_count(known.parameters)}, {given} given")
        if known.kind == "procedure" and not as_statement:
            self.error(call.at, f"procedure '{call.name}' gives no value", "call it as a statement")
        if known.kind == "function" and as_statement:
            self.warning(call.at, f"the value of function '{call.name}' is dropped", "write Void(...) to say so")
        self.checked.calls[call] = known.target
        if isinstance(known.target, ExternalSection):
            self.checked.externals.setdefault(known.target, call.at)

    def _builtin_call(self, call: s.Call, builtin: Builtin, as_statement: bool) -> None:
        given = len(call.all_args)
        if not builtin.min_args <= given <= builtin.max_args:
            wanted = _count(builtin.min_args, builtin.max_args)
            self.error(call.at, f"built-in '{builtin.name}' has {wanted}, {given} given")
        if builtin.kind == "P" and not as_statement:
            self.warning(call.at, f"built-in procedure '{builtin.name}' gives no value: null is used")
        if builtin.kind == "F" and as_statement:
            self.warning(call.at, f"the value of built-in '{builtin.name}' is dropped", "write Void(...) to say so")
        if self._builtins.foreign(builtin):
            self.checked.foreign.append((builtin, call.at))
            self.warning(call.at, f"built-in '{builtin.name}' belongs to another environment ({builtin.environment})")
        named = {"proccall": "procedure", "funccall": "function"}.get(builtin.key)
        self.checked.calls[call] = NamedSection(named) if named else builtin

    def _unknown(self, call: s.Call) -> None:
        spelled = f"{call.module}::{call.name}" if call.module else call.name
        if call.module:
            hint = f"declare it first: function {spelled}(...) external;"
        elif call.name.lower() in self._later:
            self.error(call.at, f"'{call.name}' is used before it is defined", "declare it first with 'forward'")
            return
        else:
            names = {name for _, name in self._sections} | {builtin.key for builtin in self._builtins} | KEYWORDS
            hint = suggest(call.name, names)
        self.error(call.at, f"'{spelled}' is not known", hint)


def _count(least: int, most: int | None = None) -> str:
    if most is None or most == least:
        return "no arguments" if least == 0 else f"{least} argument{'s' if least > 1 else ''}"
    return f"{least} to {most} arguments" if most < 100 else f"at least {_count(least)}"


def _always_returns(block: s.Block) -> bool:
    """True when the end of the block cannot be reached, as far as is plain."""
    if not block.statements:
        return False
    match block.statements[-1]:
        case s.Return() | s.Stop():
            return True
        case s.If(branches=branches, otherwise=otherwise):
            return otherwise is not None and all(map(_always_returns, [*(b.body for b in branches), otherwise]))
        case s.Loop(word="loop", body=body):
            return not any(isinstance(statement, s.ExitIf) for statement in body.statements)
        case _:
            return False
