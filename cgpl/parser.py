"""From program text to the syntax tree. The only module that knows Lark; names are resolved by the checker."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Iterator
from functools import cache
from importlib import resources
from typing import TypeVar

from lark import Lark, Token, Transformer, UnexpectedCharacters, UnexpectedToken
from lark.exceptions import UnexpectedEOF

from base.values import from_octets, octets, wrap
from base.values.text import unescape
from cgpl import syntax as s
from cgpl.complaints import KEYWORDS, bad_character, syntax_error, unexpected
from cgpl.diagnostics import CompileError, SourceText

EXPRESSION_DEPTH = 150  # Limit: nested operations; a chain of 150 additions counts as that deep.
BLOCK_DEPTH = 60  # Limit: statements inside statements.
SOURCE_LIMIT = 256 * 1024  # Limit: characters of a program file; long ones take seconds to compile.

_LOGIC = {"&&": "and-then", "||": "or-else", "&": "and", "|": "or", "^": "xor"}
_BRANCH_WORDS = ("IF", "ELIF", "ELIF_BRACED", "ELSE", "ELSE_BRACED", "END")

_T = TypeVar("_T")
_Node = TypeVar("_Node", bound=s.Expression)


class _Misplaced(Exception):
    """A construct that the grammar lets pass and the language does not."""

    def __init__(self, at: int, message: str) -> None:
        self.at = at
        self.message = message


def parse(source: SourceText) -> s.Tree:
    """The tree of a file. Raises CompileError with one diagnostic, the first error."""
    text = source.text
    if text.startswith("\ufeff"):
        raise syntax_error(source, 0, "the file begins with a byte-order mark", "save it as UTF-8 without a mark")
    if len(text) > SOURCE_LIMIT:
        raise syntax_error(source, 0, "the program is too long")
    comments: list[s.Comment] = []
    try:
        items = _lark().items(text, comments)
    except UnexpectedCharacters as error:
        at = error.pos_in_stream
        assert at is not None
        raise bad_character(source, at) from None
    except UnexpectedToken as error:
        raise _unexpected(source, error) from None
    except UnexpectedEOF:
        raise syntax_error(source, len(text), "the program ends too early") from None
    except _Misplaced as error:
        raise syntax_error(source, error.at, error.message) from None
    return s.Tree(items, comments)


def decode(source: bytes | str) -> str:
    """Program octets as text; stray octets survive."""
    return from_octets(source) if isinstance(source, bytes) else source


class _Language:
    """The grammar, read and prepared once for the process."""

    def __init__(self) -> None:
        self._comments: list[s.Comment] = []
        self._lock = threading.Lock()
        self._lark = Lark(
            resources.files("cgpl").joinpath("grammar.lark").read_text(encoding="utf-8"),
            start="program",
            parser="lalr",
            lexer="basic",
            postlex=_Branches(),
            maybe_placeholders=False,
            transformer=_Builder(),
            lexer_callbacks={"NAME": _keyword, "COMMENT": self._comment},
        )

    def _comment(self, token: Token) -> Token:
        start = token.start_pos or 0
        self._comments.append(s.Comment(start, start + len(token), str(token)))
        return token

    def items(self, text: str, comments: list[s.Comment]) -> list[s.Section | s.Declare]:
        """The top-level items; the comments met are added to `comments`."""
        with self._lock:
            self._comments = comments
            items: object = self._lark.parse(text)
        assert isinstance(items, list)
        return items


class _Branches:
    """Tells to which dialect each `elif` and `else` belongs: a `{` comes before the next `then`, or at once.

    So a braced `if` may be the last statement of a branch of the other dialect.
    """

    always_accept = ()

    def process(self, stream: Iterator[Token]) -> Iterator[Token]:
        ahead: deque[Token] = deque()
        while True:
            token = ahead.popleft() if ahead else next(stream, None)
            if token is None:
                return
            if token.type == "ELSE" and self._braced_else(ahead, stream):
                token = Token.new_borrow_pos("ELSE_BRACED", token, token)
            elif token.type == "ELIF" and self._braced_elif(ahead, stream):
                token = Token.new_borrow_pos("ELIF_BRACED", token, token)
            yield token

    def _braced_else(self, ahead: deque[Token], stream: Iterator[Token]) -> bool:
        if not ahead and (token := next(stream, None)) is not None:
            ahead.append(token)
        return bool(ahead) and ahead[0].type == "LBRACE"

    def _braced_elif(self, ahead: deque[Token], stream: Iterator[Token]) -> bool:
        before = ""
        for token in self._with(ahead, stream):
            if token.type == "LBRACE":
                return True
            if token.type == "SEMICOLON" or (token.type == "THEN" and before != "AND"):
                return False
            before = token.type
        return False

    def _with(self, ahead: deque[Token], stream: Iterator[Token]) -> Iterator[Token]:
        """What is ahead, reading on as needed; all of it stays ahead."""
        yield from tuple(ahead)
        for token in stream:
            ahead.append(token)
            yield token


@cache
def _lark() -> _Language:
    return _Language()


def _keyword(token: Token) -> Token:
    word = token.lower()
    return Token.new_borrow_pos(word.upper(), token, token) if word in KEYWORDS else token


def _at(token: Token) -> int:
    return token.start_pos or 0


def _unexpected(source: SourceText, error: UnexpectedToken) -> CompileError:
    token = error.token
    return unexpected(source, _at(token), token.type, str(token), frozenset(error.accepts or error.expected))


def _deep(node: _Node, *children: s.Expression | None) -> _Node:
    node.depth = 1 + max((child.depth for child in children if child is not None), default=0)
    if node.depth > EXPRESSION_DEPTH:
        raise _Misplaced(node.at, f"the expression nests more than {EXPRESSION_DEPTH} operations")
    return node


def _nested(block: s.Block) -> int:
    if block.depth >= BLOCK_DEPTH:
        raise _Misplaced(block.end, f"more than {BLOCK_DEPTH} statements inside one another")
    return block.depth + 1


def _of(kind: type[_T], children: Iterable[object]) -> list[_T]:
    return [child for child in children if isinstance(child, kind)]


class _Builder(Transformer[Token, object]):
    """Makes a node of each rule, from the bottom up, while the parser runs: nothing here recurses."""

    def program(self, children: list[object]) -> list[s.Section | s.Declare]:
        items: list[s.Section | s.Declare] = []
        for child in children:
            if isinstance(child, s.Section | s.Declare):
                items.append(child)
        return items

    # Sections

    def entry(self, children: tuple[Token, Token, s.Block]) -> s.Section:
        word, name, body = children
        return s.Section(_at(word), "entry", "", str(name), [], "body", body)

    def routine(self, children: tuple[Token, tuple[str, str], list[s.Name], s.Block]) -> s.Section:
        word, (module, name), parameters, body = children
        kind: s.SectionKind = "procedure" if word.type == "PROCEDURE" else "function"
        return s.Section(_at(word), kind, module, name, parameters, "body", body)

    def linked(self, children: tuple[Token, tuple[str, str], list[s.Name], s.Linkage]) -> s.Section:
        word, (module, name), parameters, linkage = children
        kind: s.SectionKind = "procedure" if word.type == "PROCEDURE" else "function"
        return s.Section(_at(word), kind, module, name, parameters, linkage, s.Block([]))

    def cname(self, children: list[Token]) -> tuple[str, str]:
        return (str(children[0]), str(children[1])) if len(children) == 2 else ("", str(children[0]))

    def names(self, children: list[Token]) -> list[s.Name]:
        return [s.Name(_at(token), str(token)) for token in children]

    def linkage(self, children: list[Token]) -> s.Linkage:
        return "forward" if children[0].type == "FORWARD" else "external"

    def basic_body(self, children: list[object]) -> s.Block:
        (block,) = _of(s.Block, children)
        block.end = next(_at(token) for token in _of(Token, children) if token.type == "END")
        return block

    def block(self, children: tuple[s.Block, Token]) -> s.Block:
        block, brace = children
        block.end, block.braced = _at(brace), True
        return block

    # Statements

    def stmts(self, children: list[s.Statement]) -> s.Block:
        return s.Block(children, depth=max((child.depth for child in children), default=0))

    def declaration(self, children: list[object]) -> s.Declare:
        word = _of(Token, children)[0]
        return s.Declare(_at(word), word.type == "CONST", _of(s.Item, children))

    def declare(self, children: list[s.Declare]) -> s.Declare:
        return children[0]

    def item(self, children: list[object]) -> s.Item:
        name = children[0]
        value = children[2] if len(children) == 3 else None
        assert isinstance(name, Token)
        assert value is None or isinstance(value, s.Expression)
        return s.Item(_at(name), str(name), value)

    def stop(self, children: list[Token]) -> s.Stop:
        return s.Stop(_at(children[0]))

    def return_(self, children: list[object]) -> s.Return:
        word, value = children[0], children[1] if len(children) == 2 else None
        assert isinstance(word, Token)
        assert value is None or isinstance(value, s.Expression)
        return s.Return(_at(word), value)

    def exit_if(self, children: tuple[Token, s.Expression]) -> s.ExitIf:
        return s.ExitIf(_at(children[0]), children[1])

    def step(self, children: list[object]) -> s.Assign:
        *first, target, operator, value = children
        assert isinstance(operator, Token)
        assert isinstance(target, s.Expression)
        assert isinstance(value, s.Expression)
        if not isinstance(target, s.Name | s.Index | s.Key | s.ComputedKey):
            raise _Misplaced(_at(operator), "only a variable, an element or a key can be assigned to")
        if first and not isinstance(target, s.Name):
            raise _Misplaced(_at(operator), "'var' declares a name, not an element")
        operation = {"|": "or", "&": "and"}.get(operator[0], operator[0]) if operator != "=" else ""
        return s.Assign(s.leftmost(target), target, operation, value, declares=bool(first))

    def call_statement(self, children: list[s.Expression]) -> s.CallStatement | s.Nothing:
        (call,) = children
        match call:
            case s.Call():
                return s.CallStatement(s.leftmost(call), call)
            case s.Literal_(word="null"):
                return s.Nothing(call.at)
            case s.Name():
                raise _Misplaced(call.at + len(call.name), f"'=' or '(' is expected after '{call.name}'")
            case _:
                raise _Misplaced(s.leftmost(call), "an expression is not a statement: assign it or call it")

    def if_(self, children: list[object]) -> s.If:
        words, tests, blocks = _of(Token, children), _expressions(children), _of(s.Block, children)
        starts = [word for word in words if word.type in _BRANCH_WORDS]
        for block, word in zip(blocks, starts[1:], strict=False):
            block.end = block.end or _at(word)
        branches = [s.Branch(_at(w), t, b) for w, t, b in zip(starts, tests, blocks, strict=False)]
        otherwise = blocks[-1] if len(blocks) > len(tests) else None
        return s.If(_at(words[0]), branches, otherwise, depth=max(_nested(block) for block in blocks))

    def loop(self, children: list[object]) -> s.Loop:
        return self._loop(children, None, None, None)

    def while_(self, children: list[object]) -> s.Loop:
        return self._loop(children, None, _expressions(children)[0], None)

    def for_(self, children: list[object]) -> s.Loop:
        parts = _of(list, children)
        first, test, step = (part[0] if part else None for part in parts)
        return self._loop(children, first, test, step)

    def _loop(
        self, children: list[object], first: s.Assign | None, test: s.Expression | None, step: s.Assign | None
    ) -> s.Loop:
        (body,) = _of(s.Block, children)
        words = _of(Token, children)
        body.end = body.end or next((_at(word) for word in words if word.type == "END"), 0)
        return s.Loop(_at(words[0]), str(words[0]).lower(), first, test, step, body, depth=_nested(body))

    def for_first(self, children: list[object]) -> list[object]:
        return [child for child in children if not isinstance(child, Token)]

    for_while = for_by = for_test = for_step = for_first

    # Expressions

    def choice(self, children: tuple[s.Expression, s.Expression, s.Expression]) -> s.Expression:
        test, chosen, otherwise = children
        return _deep(s.Choice(s.leftmost(test), test, chosen, otherwise), test, chosen, otherwise)

    def logop(self, children: list[Token]) -> Token:
        spelling = " ".join(token.lower() for token in children)
        return Token.new_borrow_pos("LOGIC", spelling, children[0])

    def binary(self, children: tuple[s.Expression, Token, s.Expression]) -> s.Expression:
        left, sign, right = children
        operator = _LOGIC.get(sign, sign.replace(" ", "-"))
        return _deep(s.Binary(_at(sign), operator, str(sign), left, right), left, right)

    def unary(self, children: tuple[Token, s.Expression]) -> s.Expression:
        sign, operand = children
        operator = str(sign) if sign.type == "SUM" else "not"
        return _deep(s.Unary(_at(sign), operator, sign.lower(), operand), operand)

    def member(self, children: list[object]) -> s.Expression:
        subject, name = children[0], children[1]
        assert isinstance(subject, s.Expression)
        assert isinstance(name, Token)
        if len(children) == 2:
            return _deep(s.Key(_at(name), subject, str(name)), subject)
        return self._call("", name, subject, children[2])

    def module_member(self, children: list[object]) -> s.Expression:
        subject, module, name, args = children
        assert isinstance(subject, s.Expression)
        assert isinstance(name, Token)
        return self._call(str(module), name, subject, args)

    def computed_key(self, children: tuple[s.Expression, s.Expression]) -> s.Expression:
        subject, key = children
        return _deep(s.ComputedKey(key.at, subject, key), subject, key)

    def index(self, children: tuple[s.Expression, s.Expression]) -> s.Expression:
        subject, index = children
        return _deep(s.Index(index.at, subject, index), subject, index)

    def number(self, children: list[Token]) -> s.Expression:
        digits = str(children[0])
        if len(digits) > 19:
            raise _Misplaced(_at(children[0]), "the number does not fit into 64 bits")
        return s.Number(_at(children[0]), wrap(int(digits)))

    def string(self, children: list[Token]) -> s.Expression:
        joined = "".join(unescape(token[1:-1]) for token in children)
        return s.Text(_at(children[0]), from_octets(octets(joined)), tuple(str(token) for token in children))

    def literal(self, children: list[Token]) -> s.Expression:
        return s.Literal_(_at(children[0]), children[0].lower())

    def spawn(self, children: list[object]) -> s.Expression:
        word, name, *rest = children
        assert isinstance(word, Token)
        argument = rest[0] if rest else None
        assert argument is None or isinstance(argument, s.Expression)
        return _deep(s.Spawn(_at(word), str(name), argument), argument)

    def name(self, children: list[object]) -> s.Expression:
        name = children[0]
        assert isinstance(name, Token)
        return self._call("", name, None, children[1]) if len(children) == 2 else s.Name(_at(name), str(name))

    def module_name(self, children: list[object]) -> s.Expression:
        module, name, *args = children
        assert isinstance(name, Token)
        if not args:
            raise _Misplaced(_at(name), f"'{module}::{name}' can only be called: '(' is expected")
        return self._call(str(module), name, None, args[0])

    def args(self, children: list[s.Expression]) -> tuple[s.Expression, ...]:
        return tuple(children)

    def _call(self, module: str, name: Token, receiver: s.Expression | None, args: object) -> s.Call:
        assert isinstance(args, tuple)
        return _deep(s.Call(_at(name), module, str(name), receiver, list(args)), receiver, *args)


def _expressions(children: Iterable[object]) -> list[s.Expression]:
    return [child for child in children if isinstance(child, s.Expression)]
