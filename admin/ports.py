"""What acts need of the floors above and beside them: prompts, what is going on now, and the end of the server.

`apps` implements `PromptStore`; `server/compose.py` fills the rest.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias, Union

from base.certificates import Shown
from directory.model import Account

Json: TypeAlias = Union[bool, int, float, str, "Sequence[Json]", "Mapping[str, Json]", None]


class PromptInfo(Protocol):
    """One sound file of an environment. `level`: stock, server or a domain; `size` in octets."""

    @property
    def name(self) -> str: ...

    @property
    def level(self) -> str: ...

    @property
    def size(self) -> int: ...

    @property
    def digest(self) -> str: ...


class PromptStore(Protocol):
    """Prompts of the environments. `domain` empty: server-wide; `language` empty: the default one.

    Raises Failure("invalid" | "not-found" | "full" | "denied").
    """

    async def list(self, domain: str = "", language: str = "") -> Sequence[PromptInfo]: ...

    async def put(self, name: str, data: bytes, domain: str = "", language: str = "") -> PromptInfo:
        """Convert and install; the next call hears it. When refused, the old one stays."""

    async def get(self, name: str, domain: str = "", language: str = "") -> bytes: ...

    async def remove(self, name: str, domain: str = "", language: str = "") -> None:
        """Remove the custom file; a stock one of the same name shows through again."""


@dataclass(frozen=True, slots=True, order=True)
class FilePlace:
    """Where a prompt or a program is kept. `domain` empty: the server's; `language` empty: the default one."""

    domain: str
    language: str
    name: str


class EnvironmentStore(Protocol):
    """The own files of the environments: prompts and programs. Raises Failure("invalid" | "not-found" | "full")."""

    async def own(self) -> Mapping[FilePlace, bytes]:
        """All of them."""

    async def checked(self, place: FilePlace, content: bytes) -> bytes:
        """What would be kept: sounds are converted, programs must compile. Nothing is stored."""

    async def keep(self, place: FilePlace, content: bytes) -> None:
        """Store what `checked` gave; the next call has it."""

    async def drop(self, place: FilePlace) -> None: ...


@dataclass(frozen=True, slots=True)
class CallRow:
    """A call in progress, or a record of one that ended."""

    id: str
    state: str  # ringing, connected, ended
    started: str  # ISO 8601, local time
    caller: str
    dialled: str
    callee: str = ""
    program: str = ""
    outcome: str = ""  # empty while it lives; else answered, busy, no-answer, failed, cancelled
    status: int = 0  # the final SIP status
    duration: int = 0  # seconds
    ended_by: str = ""  # caller, callee, server
    codec: str = ""
    cause: str = ""  # of its end, in words


@dataclass(frozen=True, slots=True)
class RegistrationRow:
    """A telephone that is registered."""

    account: str
    contact: str
    source: str
    user_agent: str
    expires: int
    state: str = ""  # reachable, unreachable; empty: never asked
    rtt: int = 0  # milliseconds of the last answer


class Monitor(Protocol):
    """What is going on now. `accounts`: only what one of these accounts has a part in; None: everything."""

    async def calls(self, limit: int, accounts: Collection[int] | None) -> Sequence[CallRow]:
        """Calls in progress, then the last `limit` that ended, the newest first."""

    async def records(
        self, since: float, until: float, *, accounts: Collection[int] | None, after: int, limit: int
    ) -> tuple[Sequence[Mapping[str, Json]], str, int]:
        """A page of call records that began in that time (seconds since 1970): as objects and as lines of CSV, and
        where the next page begins; 0: nowhere."""

    async def log(self, account: int, limit: int) -> Sequence[Mapping[str, Json]]:
        """An account's own list of calls, the newest first."""

    def registrations(self, accounts: Collection[int] | None) -> Sequence[RegistrationRow]: ...

    def status(self) -> Mapping[str, Json]:
        """Version, uptime, addresses, counters: one flat dictionary."""


class CertificateStore(Protocol):
    """The certificates of the doors with TLS."""

    @property
    def shown(self) -> Sequence[Shown]: ...

    async def reload(self) -> Sequence[Shown]:
        """Read the files again. Raises Failure("unavailable"); then the old ones stay."""


@dataclass(frozen=True, slots=True)
class BlockedRow:
    """A source that is shut out for a while."""

    source: str
    seconds: int  # left
    failures: int
    dropped: int  # messages and connections since


class Blocks(Protocol):
    """Sources that are shut out after failed logins."""

    def blocked(self) -> Sequence[BlockedRow]: ...

    def lift(self, address: str) -> bool:
        """Let it in again, and forget its failures; False when it was not shut out."""


@dataclass(frozen=True, slots=True)
class PhoneRow:
    """A telephone that sets itself up, or one that has asked and is nobody's (without an account)."""

    mac: str
    family: str
    account: str = ""
    by_mac: bool = True  # may fetch its files by its MAC alone, inside our network
    seen: str = ""  # ISO 8601, local time
    source: str = ""
    agent: str = ""


@dataclass(frozen=True, slots=True)
class PhoneLink:
    """How a telephone or an app finds its files: told once, since it opens them. `files`: paths that it asks for
    inside our network."""

    mac: str
    family: str
    url: str
    link: str
    files: Sequence[str]


class Phones(Protocol):
    """Telephones that set themselves up. Raises Failure("invalid" | "not-found" | "full")."""

    def rows(self) -> Sequence[PhoneRow]:
        """Those that are known, then those that have asked and are nobody's."""

    def families(self) -> Sequence[tuple[str, str]]:
        """Name and title."""

    async def add(self, account: Account, mac: str, family: str, host: str, *, by_mac: bool) -> PhoneLink:
        """`mac` empty: an app; `family` empty: as the MAC address tells; `host`: what it is to call us."""

    def owner(self, mac: str) -> Account | None:
        """Whose telephone that is; None when it is not known."""

    async def remove(self, mac: str) -> None: ...

    def show(self, mac: str, host: str) -> Sequence[tuple[str, bytes]]:
        """Its files, with secrets left out."""


class Mailboxes(Protocol):
    """The mail side of an account's end."""

    async def remove_mail(self, account_id: int) -> None: ...


class Server(Protocol):
    """The process itself."""

    def shutdown(self) -> None:
        """Begin to stop: drain, then close. Returns at once."""
