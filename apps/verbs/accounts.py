"""The account that a Task acts for, preferences, addresses (CGPL.html, "Account Data"; spec: cgpl-builtins §7-8)."""

from __future__ import annotations

from apps.rights import acts_for
from apps.running import RunningTask
from apps.verbs.verb import Arguments, Verb
from base.failures import Failure
from base.values.kinds import Dictionary, TimeStamp, Value
from directory.model import Account, AccountRoute, Address, ForeignRoute, GroupRoute, ProgramRoute
from directory.settings import SETTINGS
from pbx.records.log import LogEntry
from pbx.sipcore.failures import SipSyntaxError
from pbx.sipcore.uri import Uri

_SEALED = frozenset({"pin", "password"})
# Limit: updates of one SetAccountPreferences.
MAX_UPDATES = 50
# Limit: calls of one ReadCallLog.
MAX_CALLS = 100


def my_domain(task: RunningTask, args: Arguments) -> Value:
    return task.account.domain


def my_email(task: RunningTask, args: Arguments) -> Value:
    return task.account.address


def get_preferences(task: RunningTask, args: Arguments) -> Value:
    """One preference, or with an empty key all; `~user/key` is another account's. A PIN is never told."""
    account, key = _whose(task, args.text(0), args.text(1))
    if account is None:
        return None
    if key:
        return None if key.lower() in _SEALED else task.people.setting(account.id, _spelled(key))
    everything = [(name, task.people.setting(account.id, name)) for name in SETTINGS if name.lower() not in _SEALED]
    return Dictionary([(name, value) for name, value in everything if value is not None])


async def set_preferences(task: RunningTask, args: Arguments) -> Value:
    """SetAccountPreferences(value, key): null goes back to the default; an empty key takes a dictionary of updates."""
    account, key = _whose(task, args.text(1), args.text(2))
    if account is None:
        return "NO_SUCH_ACCOUNT"
    given = args.dictionary(0)
    updates = [(key, args[0])] if key else list(given.items())[:MAX_UPDATES] if given is not None else []
    try:
        for name, value in updates:
            await task.people.set_setting(account.id, _spelled(name), value)
    except Failure as failure:
        return failure.code.upper().replace("-", "_")
    return None


def _whose(task: RunningTask, key: str, other: str) -> tuple[Account | None, str]:
    if key.startswith("~"):
        other, _, key = key[1:].partition("/")
    if not other:
        return task.account, key
    account = _find(task, other)
    return (account if account is not None and acts_for(task, account) else None), key


def _find(task: RunningTask, email: str) -> Account | None:
    local, at, domain = email.rpartition("@")
    if not at:
        local, domain = email, task.account.domain
    ours = task.people.local_domain(domain)
    return None if ours is None else task.people.find_account(ours, local)


def _spelled(key: str) -> str:
    return next((name for name in SETTINGS if name.lower() == key.lower()), key)


def impersonate(task: RunningTask, args: Arguments) -> Value:
    """Become another account, or with an address that is not ours oneself again. The second argument is a service PIN:
    whoever gives the right one may become that account; without one the Task needs the right to."""
    email, pin = args.text(0), args[1]
    account = _find(task, email)
    if account is not None and account.domain != task.home.domain:
        return "DENIED"  # whatever PIN: domains do not meet
    if account is None and pin is not None:
        return "NO_SUCH_ACCOUNT"
    if account is None:
        _become(task, task.home)
        return None if "@" in email or not email else "NO_SUCH_ACCOUNT"
    error = _proved(task, account, str(pin)) if pin is not None else None if acts_for(task, account) else "DENIED"
    if error is None:
        _become(task, account)
    return error


def _proved(task: RunningTask, account: Account, pin: str) -> str | None:
    guard, now = task.services.pins, task.services.clock.now()
    if not task.people.has_pin(account.id):
        return "NO_PIN"
    if guard.locked(account.id, now):
        task.services.metrics.count("apps.pins.locked")
        return "LOCKED"
    if not pin:
        return "PIN_NEEDED"
    if not task.people.check_pin(account.id, pin):
        guard.wrong(account.id, now)
        task.services.metrics.count("apps.pins.wrong")
        task.log_to.warning("wrong_pin", account=account.address)
        return "WRONG_PIN"
    guard.right(account.id)
    return None


def _become(task: RunningTask, account: Account) -> None:
    task.account = account
    task.language = str(task.people.setting(account.id, "Language") or "")


# ---- addresses ----


def sip_uri_to_email(task: RunningTask, args: Arguments) -> Value:
    try:
        uri = Uri.parse(args.text(0).strip().removeprefix("<").partition(">")[0])
    except SipSyntaxError:
        return None
    return f"{uri.user}@{uri.host}" if uri.is_sip and uri.user else None


def email_to_sip_uri(task: RunningTask, args: Arguments) -> Value:
    local, _, domain = args.text(0).rpartition("@")
    try:
        return str(Uri.parse(str(Uri(user=local, host=domain)))) if local and domain else None
    except SipSyntaxError:
        return None


def phone_number_to_sip_uri(task: RunningTask, args: Arguments) -> Value:
    text = args.text(0)
    digits = "".join(character for character in text if character in "0123456789")
    return f"sip:{'+' if text.startswith('+') else ''}{digits}@{task.account.domain}" if digits else None


def route_address(task: RunningTask, args: Arguments) -> Value:
    """A dictionary with `module`, `host` and `object`, or an error-code string."""
    local, at, domain = args.text(0).rpartition("@")
    if not at:
        local, domain = args.text(0), task.account.domain
    match task.people.resolve(Address(local, domain.lower()), caller=task.caller).route:
        case AccountRoute(account=account) | ProgramRoute(account=account):
            return Dictionary([("module", "LOCAL"), ("host", account.domain), ("object", account.name)])
        case GroupRoute(name=name, domain=host):
            return Dictionary([("module", "LIST"), ("host", host), ("object", name)])
        case ForeignRoute(address=address):
            return Dictionary([("module", "SIP"), ("host", address.domain), ("object", address.local)])
        case _:
            return "NO_SUCH_ACCOUNT"


def read_group_members(task: RunningTask, args: Arguments) -> Value:
    local, at, domain = args.text(0).rpartition("@")
    if not at:
        local, domain = args.text(0), task.account.domain
    route = task.people.resolve(Address(local, domain.lower()), caller=None).route
    if not isinstance(route, GroupRoute) or route.domain != task.home.domain:
        return None
    return [str(member) for member in route.members]


def read_telnums(task: RunningTask, args: Arguments) -> Value:
    """The numbers by which an account of the domain is dialled: extensions, then telephone numbers."""
    account = _find(task, args.text(0)) if args.text(0) else task.account
    if account is None or account.domain != task.account.domain:
        return None
    extensions = [alias for alias in task.people.aliases(account.id) if alias.isascii() and alias.isdigit()]
    return [*extensions, *task.people.telnums.of(account.id)] or None


async def read_call_log(task: RunningTask, args: Arguments) -> Value:
    """ReadCallLog(most): the account's own calls, the newest first, as dictionaries with `kind` (placed, answered,
    missed), `party`, `name`, `at`, `note`; of who hides himself without `party`. Deviation: CommuniGate has it not."""
    most = args.number(0)
    found = await task.services.calls.log(task.account.id, min(most or MAX_CALLS, MAX_CALLS))
    return [
        Dictionary(
            [(key, value) for key, value in _told(entry) if value not in ("", None)],
        )
        for entry in found
    ]


def _told(entry: LogEntry) -> tuple[tuple[str, Value], ...]:
    at = TimeStamp(int(entry.at))
    return ("kind", entry.kind), ("party", entry.party), ("name", entry.name), ("at", at), ("note", entry.note)


VERBS = (
    Verb("MyDomain", "F", 0, 0, now=my_domain),
    Verb("MyEmail", "F", 0, 0, now=my_email),
    Verb("GetAccountPreferences", "F", 1, 2, now=get_preferences),
    Verb("GetPreference", "F", 1, 2, now=get_preferences),
    Verb("SetAccountPreferences", "F", 2, 3, later=set_preferences),
    Verb("Impersonate", "F", 1, 2, now=impersonate),
    Verb("SIPURIToEmail", "F", 1, 1, now=sip_uri_to_email),
    Verb("EmailToSIPURI", "F", 1, 1, now=email_to_sip_uri),
    Verb("PhoneNumberToSIPURI", "F", 1, 1, now=phone_number_to_sip_uri),
    Verb("RouteAddress", "F", 2, 2, now=route_address),
    Verb("ReadTelnums", "F", 0, 1, now=read_telnums),
    Verb("ReadCallLog", "F", 0, 1, later=read_call_log),
    Verb("ReadGroupMembers", "F", 1, 1, now=read_group_members),
)
