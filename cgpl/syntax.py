"""The typed syntax tree of a CG/PL program. Not checked yet: names are texts, and calls lead nowhere.

`at` is the offset in the source that a message about the node points to. `depth` counts how deep a node nests, so that
nothing that walks the tree recurses without bound.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

SectionKind: TypeAlias = Literal["entry", "procedure", "function"]
Linkage: TypeAlias = Literal["body", "forward", "external"]


@dataclass(slots=True, eq=False)
class Number:
    at: int
    value: int
    depth: int = 1


@dataclass(slots=True, eq=False)
class Text:
    """A string literal; `parts` are its pieces as written, quotes included."""

    at: int
    value: str
    parts: tuple[str, ...]
    depth: int = 1


@dataclass(slots=True, eq=False)
class Literal_:
    """`null`, `true` or `false` (which is the null-value too)."""

    at: int
    word: str
    depth: int = 1


@dataclass(slots=True, eq=False)
class Name:
    at: int
    name: str
    depth: int = 1

    @property
    def key(self) -> str:
        """The name without regard to case."""
        return self.name.lower()


@dataclass(slots=True, eq=False)
class Call:
    """`name(args)`, `module::name(args)`, or in method form with `receiver` before the dot."""

    at: int
    module: str
    name: str
    receiver: Expression | None
    args: list[Expression]
    depth: int = 1

    @property
    def all_args(self) -> list[Expression]:
        return self.args if self.receiver is None else [self.receiver, *self.args]


@dataclass(slots=True, eq=False)
class Index:
    at: int
    subject: Expression
    index: Expression
    depth: int = 1


@dataclass(slots=True, eq=False)
class Key:
    """`subject.name`: the key is the text as written."""

    at: int
    subject: Expression
    name: str
    depth: int = 1


@dataclass(slots=True, eq=False)
class ComputedKey:
    """`subject.(expression)`."""

    at: int
    subject: Expression
    key: Expression
    depth: int = 1


@dataclass(slots=True, eq=False)
class Unary:
    """`-x`, `+x`, `not x`; `spelling` is the sign or word used."""

    at: int
    operator: str
    spelling: str
    operand: Expression
    depth: int = 1


@dataclass(slots=True, eq=False)
class Binary:
    """`operator` is one of `* / % + - < <= == != > >= and or xor and-then or-else`."""

    at: int
    operator: str
    spelling: str
    left: Expression
    right: Expression
    depth: int = 1


@dataclass(slots=True, eq=False)
class Choice:
    at: int
    test: Expression
    chosen: Expression
    otherwise: Expression
    depth: int = 1


@dataclass(slots=True, eq=False)
class Spawn:
    at: int
    entry: str
    argument: Expression | None
    depth: int = 1


Expression: TypeAlias = (
    Number | Text | Literal_ | Name | Call | Index | Key | ComputedKey | Unary | Binary | Choice | Spawn
)


@dataclass(slots=True, eq=False)
class Block:
    """Statements; `end` is the offset of what closes them, `braced` tells the dialect."""

    statements: list[Statement]
    end: int = 0
    braced: bool = False
    depth: int = 1


@dataclass(slots=True, eq=False)
class Nothing:
    """`null;`"""

    at: int
    depth: int = 1


@dataclass(slots=True, eq=False)
class Stop:
    at: int
    depth: int = 1


@dataclass(slots=True, eq=False)
class Return:
    at: int
    value: Expression | None
    depth: int = 1


@dataclass(slots=True, eq=False)
class ExitIf:
    at: int
    test: Expression
    depth: int = 1


@dataclass(slots=True, eq=False)
class Item:
    at: int
    name: str
    value: Expression | None

    @property
    def key(self) -> str:
        return self.name.lower()


@dataclass(slots=True, eq=False)
class Declare:
    """`var a, b = 1;` or `const c = 2;`"""

    at: int
    constant: bool
    items: list[Item]
    depth: int = 1


@dataclass(slots=True, eq=False)
class Assign:
    """`operator` is "" for `=`, else the operation of the compound form."""

    at: int
    target: Expression
    operator: str
    value: Expression
    declares: bool = False
    depth: int = 1


@dataclass(slots=True, eq=False)
class CallStatement:
    at: int
    call: Call
    depth: int = 1


@dataclass(slots=True, eq=False)
class Branch:
    at: int
    test: Expression
    body: Block


@dataclass(slots=True, eq=False)
class If:
    at: int
    branches: list[Branch]
    otherwise: Block | None
    depth: int = 1


@dataclass(slots=True, eq=False)
class Loop:
    """`loop`, `while` (a test) and `for` (any of first, test and step)."""

    at: int
    word: str
    first: Assign | None
    test: Expression | None
    step: Assign | None
    body: Block
    depth: int = 1


Statement: TypeAlias = Nothing | Stop | Return | ExitIf | Declare | Assign | CallStatement | If | Loop


@dataclass(slots=True, eq=False)
class Section:
    at: int
    kind: SectionKind
    module: str
    name: str
    parameters: list[Name]
    linkage: Linkage
    body: Block

    @property
    def key(self) -> str:
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class Comment:
    start: int
    end: int
    text: str


@dataclass(slots=True, eq=False)
class Tree:
    """A whole file."""

    items: list[Section | Declare] = field(default_factory=list)
    comments: list[Comment] = field(default_factory=list)


def leftmost(expression: Expression) -> int:
    """The offset where the expression begins (operators point to their sign)."""
    while True:
        match expression:
            case Index() | Key() | ComputedKey():
                expression = expression.subject
            case Binary():
                expression = expression.left
            case Choice():
                expression = expression.test
            case Call(receiver=receiver) if receiver is not None:
                expression = receiver
            case _:
                return expression.at
