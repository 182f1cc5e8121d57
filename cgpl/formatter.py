"""The pretty printer: one layout for programs, each construct in the dialect in which it was written.

Comments stay, before the statement or at the end of the line where they stood; those inside an expression move in front
of their statement. Blank lines between statements are kept, at most one. Formatting twice changes nothing.
"""

from __future__ import annotations

from typing import assert_never

from cgpl import syntax as s
from cgpl.diagnostics import SourceText
from cgpl.parser import decode, parse

_INDENT = "  "
_BINDING = {"*": 5, "/": 5, "%": 5, "+": 4, "-": 4, "<": 3, "<=": 3, "==": 3, "!=": 3, ">=": 3, ">": 3}
_LOGIC = 2
_UNARY = 6
_POSTFIX = 7
_CHOICE = 1


def format_program(source: bytes | str, filename: str = "program") -> str:
    """The program in the standard layout. Raises CompileError when it does not parse."""
    text = SourceText(filename, decode(source))
    return _Printer(text, parse(text)).print()


class _Printer:
    def __init__(self, source: SourceText, tree: s.Tree) -> None:
        self._source = source
        self._tree = tree
        self._comments = list(tree.comments)
        self._lines: list[str] = []
        self._level = 0
        self._fresh = True  # nothing was written in this block yet: no blank line here

    def print(self) -> str:
        for number, item in enumerate(self._tree.items):
            if number and isinstance(item, s.Section) and item.linkage == "body":
                self._blank()
            self._before(item.at)
            match item:
                case s.Declare():
                    self._line(_declaration(item) + ";")
                    self._trailing(_declaration_end(item))
                case s.Section(linkage="body"):
                    self._section(item)
                case s.Section():
                    self._line(f"{_heading(item)} {item.linkage};")
                    self._trailing(item.at)
                case _:
                    assert_never(item)
        self._before(len(self._source.text) + 1)
        return "\n".join(self._lines).strip("\n") + "\n" if self._lines else ""

    # Lines and comments

    def _line(self, text: str) -> None:
        self._lines.append(_INDENT * self._level + text)
        self._fresh = False

    def _blank(self) -> None:
        if self._lines and self._lines[-1] and not self._fresh:
            self._lines.append("")

    def _before(self, offset: int) -> None:
        """Comments that stand before the offset, and one blank line where the source had some."""
        while self._comments and self._comments[0].start < offset:
            comment = self._comments.pop(0)
            if self._blank_above(comment.start):
                self._blank()
            self._line(_comment(comment))
        if self._blank_above(offset):
            self._blank()

    def _blank_above(self, offset: int) -> bool:
        line = self._source.position(min(offset, len(self._source.text)))[0]
        return line > 1 and not self._source.line(line - 1).strip()

    def _trailing(self, offset: int) -> None:
        """A comment at the end of the line where the offset is goes to the end of the line just written."""
        line = self._source.position(offset)[0]
        while self._comments:
            comment = self._comments[0]
            ends = comment.text.startswith("//") or ("\n" not in comment.text and "\r" not in comment.text)
            if not ends or self._source.position(comment.start)[0] != line or not self._ends_line(comment):
                return
            self._comments.pop(0)
            self._lines[-1] += "  " + _comment(comment)

    def _ends_line(self, comment: s.Comment) -> bool:
        line, column = self._source.position(comment.start)
        return not self._source.line(line)[column - 1 + len(comment.text) :].strip()

    # Sections and statements

    def _section(self, section: s.Section) -> None:
        braced = section.body.braced
        self._line(_heading(section) + (" {" if braced else " is"))
        self._body(section.body)
        self._line("}" if braced else f"end {section.kind};")
        self._trailing(section.body.end)

    def _body(self, block: s.Block) -> None:
        self._level += 1
        self._fresh = True
        for statement in block.statements:
            self._before(statement.at)
            self._statement(statement)
        inside = [comment for comment in self._comments if comment.start < block.end]
        for comment in inside:
            self._comments.remove(comment)
            self._line(_comment(comment))
        self._fresh = False
        self._level -= 1

    def _statement(self, statement: s.Statement) -> None:
        match statement:
            case s.If():
                self._if(statement)
            case s.Loop():
                self._loop(statement)
            case _:
                self._line(_simple(statement) + ";")
                self._trailing(_last(statement))

    def _if(self, statement: s.If) -> None:
        braced = statement.branches[0].body.braced
        for number, branch in enumerate(statement.branches):
            word = "elif" if number else "if"
            if braced:
                self._line(f"{'} ' if number else ''}{word} ({_text(branch.test)}) {{")
            else:
                self._line(f"{word} {_text(branch.test)} then")
            self._trailing(_deepest(branch.test))
            self._body(branch.body)
        if statement.otherwise is not None:
            self._line("} else {" if braced else "else")
            self._body(statement.otherwise)
        self._line("}" if braced else "end if;")
        self._trailing((statement.otherwise or statement.branches[-1].body).end)

    def _loop(self, statement: s.Loop) -> None:
        self._line(_loop_heading(statement))
        self._body(statement.body)
        self._line("}" if statement.body.braced else "end loop;")
        self._trailing(statement.body.end)


def _comment(comment: s.Comment) -> str:
    return comment.text.rstrip().replace("\r\n", "\n").replace("\r", "\n")


def _heading(section: s.Section) -> str:
    if section.kind == "entry":
        return f"entry {section.name}"
    module = f"{section.module}::" if section.module else ""
    return f"{section.kind} {module}{section.name}({', '.join(name.name for name in section.parameters)})"


def _declaration(declaration: s.Declare) -> str:
    items = [item.name if item.value is None else f"{item.name} = {_text(item.value)}" for item in declaration.items]
    return f"{'const' if declaration.constant else 'var'} {', '.join(items)}"


def _declaration_end(declaration: s.Declare) -> int:
    last = declaration.items[-1]
    return last.at if last.value is None else _deepest(last.value)


def _loop_heading(loop: s.Loop) -> str:
    if loop.body.braced:
        match loop.word:
            case "while":
                return f"while ({_optional(loop.test)}) {{"
            case "for":
                parts = [_step(loop.first), _optional(loop.test), _step(loop.step)]
                return f"for ({'; '.join(parts).rstrip() if any(parts) else ';;'}) {{"
            case _:
                return "loop {"
    words = ["for"] if loop.word == "for" else []
    words += [_step(loop.first)] if loop.first else []
    words += ["while", _optional(loop.test)] if loop.test else []
    words += ["by", _step(loop.step)] if loop.step else []
    return " ".join([*words, "loop"])


def _optional(expression: s.Expression | None) -> str:
    return "" if expression is None else _text(expression)


def _step(step: s.Assign | None) -> str:
    if step is None:
        return ""
    sign = {"and": "&", "or": "|"}.get(step.operator, step.operator)
    return f"{'var ' if step.declares else ''}{_text(step.target)} {sign}= {_text(step.value)}"


def _simple(statement: s.Statement) -> str:
    match statement:
        case s.Nothing():
            return "null"
        case s.Stop():
            return "stop"
        case s.Return():
            return "return" if statement.value is None else f"return {_text(statement.value)}"
        case s.ExitIf():
            return f"exitif {_text(statement.test)}"
        case s.Declare():
            return _declaration(statement)
        case s.Assign():
            return _step(statement)
        case s.CallStatement():
            return _text(statement.call)
        case _:
            raise AssertionError(statement)


def _last(statement: s.Statement) -> int:
    """An offset on the last line of a simple statement."""
    match statement:
        case s.Return(value=value) if value is not None:
            return _deepest(value)
        case s.ExitIf():
            return _deepest(statement.test)
        case s.Declare():
            return _declaration_end(statement)
        case s.Assign():
            return _deepest(statement.value)
        case s.CallStatement():
            return _deepest(statement.call)
        case _:
            return statement.at


def _deepest(expression: s.Expression) -> int:
    """The largest offset inside an expression."""
    return max(expression.at, *map(_deepest, _children(expression)), 0)


def _children(expression: s.Expression) -> list[s.Expression]:
    match expression:
        case s.Call():
            return expression.all_args
        case s.Index():
            return [expression.subject, expression.index]
        case s.Key():
            return [expression.subject]
        case s.ComputedKey():
            return [expression.subject, expression.key]
        case s.Unary():
            return [expression.operand]
        case s.Binary():
            return [expression.left, expression.right]
        case s.Choice():
            return [expression.test, expression.chosen, expression.otherwise]
        case s.Spawn():
            return [] if expression.argument is None else [expression.argument]
        case _:
            return []


def _text(expression: s.Expression, least: int = 0) -> str:
    """The expression, in parentheses when it binds less than `least`."""
    text, binding = _bound(expression)
    return f"({text})" if binding < least else text


def _bound(expression: s.Expression) -> tuple[str, int]:
    match expression:
        case s.Number():
            return str(expression.value), _POSTFIX
        case s.Text():
            return " ".join(expression.parts), _POSTFIX
        case s.Literal_():
            return expression.word, _POSTFIX
        case s.Name():
            return expression.name, _POSTFIX
        case s.Call():
            return _call(expression), _POSTFIX
        case s.Index():
            return f"{_text(expression.subject, _POSTFIX)}[{_text(expression.index)}]", _POSTFIX
        case s.Key():
            return f"{_text(expression.subject, _POSTFIX)}.{expression.name}", _POSTFIX
        case s.ComputedKey():
            return f"{_text(expression.subject, _POSTFIX)}.({_text(expression.key)})", _POSTFIX
        case s.Unary():
            space = " " if expression.spelling == "not" or isinstance(expression.operand, s.Unary) else ""
            return f"{expression.spelling}{space}{_text(expression.operand, _UNARY)}", _UNARY
        case s.Binary():
            return _binary(expression)
        case s.Choice():
            test, chosen = _text(expression.test, _LOGIC), _text(expression.chosen, _CHOICE)
            return f"{test} ? {chosen} : {_text(expression.otherwise, _CHOICE)}", _CHOICE
        case s.Spawn():
            argument = "" if expression.argument is None else f"({_text(expression.argument)})"
            return f"spawn {expression.entry}{argument}", _POSTFIX
        case _:
            assert_never(expression)


def _call(call: s.Call) -> str:
    receiver = "" if call.receiver is None else _text(call.receiver, _POSTFIX) + "."
    module = f"{call.module}::" if call.module else ""
    return f"{receiver}{module}{call.name}({', '.join(map(_text, call.args))})"


def _binary(expression: s.Binary) -> tuple[str, int]:
    binding = _BINDING.get(expression.operator, _LOGIC)
    left = _text(expression.left, binding)
    mixed = binding == _LOGIC and isinstance(expression.left, s.Binary)
    if mixed and expression.left.operator not in (expression.operator, *_BINDING):  # type: ignore[union-attr]
        # All logic binds alike, from the left: parentheses say so where operations are mixed.
        left = f"({left})"
    return f"{left} {expression.spelling} {_text(expression.right, binding + 1)}", binding
