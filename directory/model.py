"""What the directory knows, as plain values: accounts, where an address leads, and the rules of a call.

Nothing here reads a database; `directory.directory.Directory` does.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field, replace


@dataclass(frozen=True, slots=True)
class Account:
    """One person or service: phone, mailbox, later chat and calendar. `id` never changes; names may."""

    id: int
    domain: str
    name: str
    real_name: str = ""

    @property
    def address(self) -> str:
        """`name@domain`."""
        return f"{self.name}@{self.domain}"


@dataclass(frozen=True, slots=True)
class Address:
    """A local part at a domain, as the Router sees it. The domain is lower case; the local part is as written.
    `port` is 0 where none is named; it means something for other servers only."""

    local: str
    domain: str
    port: int = 0

    def __str__(self) -> str:
        if not self.port:
            return f"{self.local}@{self.domain}"
        return f"{self.local}@{f'[{self.domain}]' if ':' in self.domain else self.domain}:{self.port}"


class Right(enum.Enum):
    """What an account may administer, in CommuniGate's words (spec: cgp-server §2, admin rights)."""

    # of the server: accounts of the main domain only
    MASTER = "Master"  # everything
    SETTINGS = "Settings"  # domains, server settings, Router, trunks
    USERS = "Users"  # accounts of all domains and what belongs to them
    MONITOR = "Monitor"  # look at calls, registrations, counters
    RECORDINGS = "Recordings"  # hear and delete recorded calls
    # of the account's own domain
    DOMAIN = "Domain"  # look at what is in it
    BASIC_SETTINGS = "BasicSettings"  # its settings, rules and prompts
    USER_ACCOUNTS = "UserAccounts"  # its accounts: make, change, remove; their telephones
    CAN_CREATE_ALIASES = "CanCreateAliases"
    CAN_CREATE_GROUPS = "CanCreateGroups"
    CAN_CREATE_FORWARDERS = "CanCreateForwarders"
    CAN_IMPERSONATE = "CanImpersonate"  # its programs act for every account of the domain
    LIMITS = "Limits"  # what accounts may cost, and who may call in. Deviation: CommuniGate grants each setting


SERVER_RIGHTS = frozenset({Right.MASTER, Right.SETTINGS, Right.USERS, Right.MONITOR, Right.RECORDINGS})
DOMAIN_RIGHTS = frozenset(Right) - SERVER_RIGHTS


class Use(enum.Enum):
    """What an address is wanted for."""

    SIGNAL = "signal"
    MAIL = "mail"
    ACCESS = "access"


@dataclass(frozen=True, slots=True)
class AccountRoute:
    """The address leads to an account. With `services` false (`;services=no`) the account's call rules are left out.
    With `instance` it leads to that one of its telephones only."""

    account: Account
    services: bool = True
    instance: str = ""


@dataclass(frozen=True, slots=True)
class ProgramRoute:
    """The address leads to a Real-Time application, `program{parameters}#account`."""

    program: str
    parameters: tuple[str, ...]
    account: Account


PICKUP = "pickup"
"""The program by which ringing calls are picked up; its parameters are the addresses at which they may ring. The
switchboard does it itself."""


MONITOR = "monitor"
"""The program that listens to calls; its parameters are the code (33, 34) and the address of the account whose call it
is. The B2BUA has it."""


PARK = "park"
"""The program that parks calls and gives them out again; its parameters are a domain and its places: one, or a span.
The B2BUA has it."""


class RingOrder(enum.Enum):
    """How the members of a group are rung."""

    ALL = "all"  # together
    JOIN = "join"  # the first, then one more at each step
    HUNT = "hunt"  # one after the other


@dataclass(frozen=True, slots=True)
class Ring:
    """`step` in seconds: until the next member, and after the last one until `then`, an address that gets the call when
    nobody has answered (empty: nobody)."""

    order: RingOrder = RingOrder.ALL
    step: int = 15
    then: str = ""


@dataclass(frozen=True, slots=True)
class GroupRoute:
    """The address leads to all members of a group. `ring` says how calls do; mail and messages go to all at once.
    `domain` is the group's own, whatever domain was asked."""

    name: str
    members: tuple[Address, ...]
    ring: Ring = Ring()
    domain: str = ""


@dataclass(frozen=True, slots=True)
class ForeignRoute:
    """The address leads out of this server. `relay`: a record of the Router leads it there for everybody, also for
    those who proved nothing; `emergency`: it began with an emergency number; `others`: where a call goes, one after
    another, when it is not taken there for no fault of who is called."""

    address: Address
    relay: bool = False
    emergency: bool = False
    others: tuple[Route, ...] = ()

    def then(self, others: tuple[Route, ...]) -> ForeignRoute:
        """The same way, and these after its own others."""
        return replace(self, others=(*self.others, *others))


@dataclass(frozen=True, slots=True)
class UnknownRoute:
    """The address is ours, and nobody has it."""

    address: Address


@dataclass(frozen=True, slots=True)
class NullRoute:
    """The Router takes what is sent to the address, and throws it away."""

    address: Address


Route = AccountRoute | ProgramRoute | GroupRoute | ForeignRoute | UnknownRoute | NullRoute


@dataclass(frozen=True, slots=True)
class Resolution:
    """Where an address leads and each step taken, in words, for `tandem route` and the log. `relay`: the last
    record of the Router on the way grants relaying, which means something where it leads out. `hidden`: who dials it
    wants not to be shown."""

    route: Route
    steps: tuple[str, ...] = ()
    relay: bool = False
    hidden: bool = False


class Stage(enum.Enum):
    """When a call rule fires (spec: pbx-apps §10, §11)."""

    AT_ONCE = "immediately"
    AFTER = "after"
    NO_DEVICE = "no device"
    NO_ANSWER = "no answer"
    BUSY = "busy"
    FAILURE = "failure"


@dataclass(frozen=True, slots=True)
class Redirect:
    """Replace the ringing set by these targets: `#program`, a name, or an address."""

    targets: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Fork:
    """Add these targets to the ringing set."""

    targets: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Reject:
    """Answer with this final SIP status."""

    status: int


@dataclass(frozen=True, slots=True)
class CallRule:
    """One rule of one account. `delay` is in seconds and means something for `Stage.AFTER` only."""

    stage: Stage
    action: Redirect | Fork | Reject
    delay: float = 0.0


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls, what was proved of him, and on whose rights he calls.

    `account` is set only when a digest proved it. `trusted`: a peer whose word on identity counts (by its address, or
    by its login as a member of ExternalGateways). `client`: from one of the Client IPs. `uri` and `name` are what the
    From header says, whoever he is; `asserted` is what a trusted peer asserts of him beyond it, or which of his own
    names an account prefers to be called by; `private`: he wants to be shown to nobody who is told of him.
    `rights`: the account on whose rights he calls, where it is not his own: a gateway's, a program's, that of who
    transferred him. `trunk`: the name of the trunk that the call came by.
    """

    uri: str
    name: str = ""
    account: Account | None = None
    trusted: bool = False
    source: tuple[str, int] = field(default=("", 0))
    asserted: str = ""
    private: bool = False
    client: bool = False
    rights: Account | None = None
    trunk: str = ""

    @property
    def payer(self) -> Account | None:
        """For whose account what he does outside this server counts."""
        return self.rights or self.account
