"""What the very first start makes: the main domain, postmaster, the PBX centre and two demo accounts.

Spec: pbx-apps §2 (creation at install), decisions 5 and 7.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from base.entropy import Entropy
from directory.directory import Directory
from directory.model import Right
from directory.resolver import CENTRE

DEFAULT_DOMAIN = "tandem.localdomain"
DONE = "FirstStartDone"
"""The setting that says so; nobody configures it."""
RECEPTIONIST = 15
"""Seconds that a receptionist has to answer (the reviewed guide: 15 or 30)."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """One account as told once, at the first start. Nothing keeps the password in the clear."""

    name: str
    password: str = field(repr=False)
    extension: str = ""
    pin: str = field(default="", repr=False)


def default_domain(host_name: str) -> str:
    """The host's full name when it has a dot and is not only another word for this machine."""
    name = host_name.strip().rstrip(".").lower()
    usable = "." in name and not name.startswith("localhost") and not name.endswith((".localhost", ".arpa"))
    return name if usable and not name.replace(".", "").isdigit() else DEFAULT_DOMAIN


async def prepare(directory: Directory, domain: str, entropy: Entropy) -> tuple[Credentials, ...]:
    """Make what is missing of the first domain and its accounts. Returns what was made now: nothing at later starts.

    An interrupted first start is done again by the next one, with new passwords: nobody was told the old ones.
    """
    if not directory.main_domain:
        await directory.domain_book.create(domain)
    if directory.domain_setting(directory.main_domain, DONE) == "YES":
        return ()
    await _centre(directory, entropy)
    made = (
        await _person(directory, entropy, "postmaster", "Postmaster", ""),
        await _person(directory, entropy, "alice", "Alice", "201"),
        await _person(directory, entropy, "bob", "Bob", "202"),
    )
    await _master(directory)
    await directory.set_server_setting(DONE, "YES")
    return made


async def _centre(directory: Directory, entropy: Entropy) -> None:
    """The account `pbx`; 200 and `conference` are its aliases. A receptionist's telephone, registered as `pbx`, rings
    first; the application `pbx` takes what nobody answers there."""
    domain = directory.main_domain
    account = directory.find_account(domain, CENTRE)
    if account is None:
        account = await directory.create_account(
            domain, CENTRE, entropy.password(24), real_name="PBX Center", extension="200"
        )
    if directory.find_account(domain, "conference") is None:
        await directory.add_alias(account.id, "conference")
    await directory.set_setting(account.id, "VoicemailAfter", RECEPTIONIST)
    for when in ("DivertOnNoAnswer", "DivertOnBusy", "DivertOnError"):
        await directory.set_setting(account.id, when, [f"#{CENTRE}"])


async def _master(directory: Directory) -> None:
    """The postmaster of the main domain administers all."""
    account = directory.find_account(directory.main_domain, "postmaster")
    if account is not None:
        await directory.rights.set(account, frozenset({Right.MASTER}))


async def _person(directory: Directory, entropy: Entropy, name: str, real_name: str, extension: str) -> Credentials:
    domain, password = directory.main_domain, entropy.password(12 if extension else 16)
    account = directory.find_account(domain, name)
    if account is None:
        account = await directory.create_account(
            domain, name, password, real_name=real_name, extension=extension or None
        )
    else:
        await directory.set_password(account.id, password)
    pin = f"{entropy.number(0, 9999):04d}" if extension else ""
    if pin:
        await directory.set_pin(account.id, pin)
    return Credentials(name, password, extension, pin)
