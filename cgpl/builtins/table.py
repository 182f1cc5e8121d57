"""What a built-in is, and tables of them. The functions themselves stand by subject in the modules beside this one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Concatenate, Literal, TypeAlias

from base.values import Value

if TYPE_CHECKING:
    from cgpl.runtime import Task

Environment: TypeAlias = Literal["core", "pbx", "web", "sync"]
Kind: TypeAlias = Literal["F", "P"]
Function: TypeAlias = "Callable[Concatenate[Task, ...], Value]"

NOT_SUPPORTED = "NOT_SUPPORTED"


@dataclass(frozen=True, slots=True)
class Builtin:
    """A built-in function ("F") or procedure ("P").

    `function` gets the running task and the arguments, and may raise ProgramFault. One that `suspends` has none: the
    program yields a HostCall and the host answers. One with neither is only known by name and answers NOT_SUPPORTED.
    """

    name: str
    kind: Kind
    min_args: int
    max_args: int
    function: Function | None = None
    suspends: bool = False
    environment: Environment = "core"

    @property
    def key(self) -> str:
        return self.name.lower()

    @property
    def implemented(self) -> bool:
        return self.suspends or self.function is not None


class BuiltinTable:
    """Built-ins by name, whatever the case. `environment` is where programs compiled with it will run."""

    def __init__(self, builtins: Iterable[Builtin], environment: Environment = "core") -> None:
        self._builtins = {builtin.key: builtin for builtin in builtins}
        self.environment: Environment = environment

    def find(self, name: str) -> Builtin | None:
        return self._builtins.get(name.lower())

    def with_(self, more: Iterable[Builtin], environment: Environment | None = None) -> BuiltinTable:
        """A new table where `more` stands before what is here."""
        return BuiltinTable([*self, *more], environment or self.environment)

    def foreign(self, builtin: Builtin) -> bool:
        """True for a built-in of another environment than the table's."""
        return builtin.environment not in ("core", self.environment)

    def missing(self) -> list[Builtin]:
        """The built-ins of this environment that only answer NOT_SUPPORTED."""
        return [builtin for builtin in self if not builtin.implemented and not self.foreign(builtin)]

    def __iter__(self) -> Iterator[Builtin]:
        return iter(self._builtins.values())

    def __len__(self) -> int:
        return len(self._builtins)
