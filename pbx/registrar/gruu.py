"""Addresses that mean one telephone of an account: its public GRUU, and temporary ones that tell nothing of it.

Nothing is stored. A temporary GRUU is made of chance and of account, telephone and Call-ID, made unreadable and sealed
with our key, so that no two can be linked; it holds as long as that telephone is registered under that Call-ID.

    tgruu. base64url( chance 8 | (account 4, instance 8, Call-ID 4) xor key stream 16 | seal 10 )

RFC 5627 §5 (registrar), §6 (whom they reach), §A (how they may be made).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from typing import Protocol

from base.entropy import Entropy
from directory.model import Account, AccountRoute, Address, UnknownRoute
from pbx.registrar.bindings import Binding, Bindings
from pbx.sipcore.uri import Uri

TEMPORARY = "tgruu."
_CHANCE, _SEAL = 8, 10
_INSTANCE = re.compile(r"<([A-Za-z0-9:.\-_%+]{1,200})>")


class Accounts(Protocol):
    """The part of the directory that is asked."""

    def local_domain(self, host: str) -> str | None: ...

    def find_account(self, domain: str, local: str) -> Account | None: ...

    def account(self, account_id: int) -> Account | None: ...


class Gruus:
    """Makes them for the registrar, and knows again what a Request-URI means."""

    def __init__(self, key: bytes, entropy: Entropy, accounts: Accounts, bindings: Bindings) -> None:
        self._stream_key = hmac.new(key, b"gruu stream", hashlib.sha256).digest()
        self._seal_key = hmac.new(key, b"gruu seal", hashlib.sha256).digest()
        self._entropy = entropy
        self._accounts = accounts
        self._bindings = bindings

    def parameters(self, account: Account, binding: Binding) -> str:
        """What is added to a Contact of the answer (RFC 5627 §5.2); empty for one that has none."""
        found = self.of(account, binding)
        return "" if found is None else f';pub-gruu="{found[0]}";temp-gruu="{found[1]}"'

    def of(self, account: Account, binding: Binding) -> tuple[Uri, Uri] | None:
        """The public one and a new temporary one; None for a contact without a usable instance."""
        found = _INSTANCE.fullmatch(binding.instance)
        if found is None:
            return None
        public = Uri(user=account.name, host=account.domain, params={"gr": found[1]})
        return public, Uri(user=self._token(account, binding), host=account.domain, params={"gr": None})

    def route(self, uri: Uri) -> AccountRoute | UnknownRoute | None:
        """Where a GRUU leads; None for an address that is none of ours. RFC 5627 §6.1: to an unknown account or with a
        temporary one that holds no more, nowhere (404); to a telephone that is not there, to nobody (480)."""
        domain = self._accounts.local_domain(uri.host) if uri.is_sip and "gr" in uri.params else None
        if domain is None:
            return None
        nowhere = UnknownRoute(Address(uri.user, domain))
        instance = uri.params["gr"]
        if instance:
            account = self._accounts.find_account(domain, uri.user)
            return nowhere if account is None else AccountRoute(account, services=False, instance=f"<{instance}>")
        return self._opened(uri.user) or nowhere

    def _token(self, account: Account, binding: Binding) -> str:
        chance = self._entropy.octets(_CHANCE)
        plain = account.id.to_bytes(4, "big") + _digest(binding.instance, 8) + _digest(binding.call_id, 4)
        hidden = chance + self._streamed(chance, plain)
        return TEMPORARY + base64.urlsafe_b64encode(hidden + self._seal(hidden)).decode().rstrip("=")

    def _opened(self, user: str) -> AccountRoute | None:
        if not user.startswith(TEMPORARY):
            return None
        text = user[len(TEMPORARY) :]
        try:
            whole = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            return None
        hidden, seal = whole[:-_SEAL], whole[-_SEAL:]
        if len(whole) != _CHANCE + 16 + _SEAL or not hmac.compare_digest(self._seal(hidden), seal):
            return None
        plain = self._streamed(hidden[:_CHANCE], hidden[_CHANCE:])
        account = self._accounts.account(int.from_bytes(plain[:4], "big"))
        if account is None:
            return None
        for binding in self._bindings.known(account.id):
            if (_digest(binding.instance, 8), _digest(binding.call_id, 4)) == (plain[4:12], plain[12:]):
                return AccountRoute(account, services=False, instance=binding.instance)
        return None

    def _streamed(self, chance: bytes, data: bytes) -> bytes:
        stream = hmac.new(self._stream_key, chance, hashlib.sha256).digest()
        return bytes(one ^ other for one, other in zip(data, stream, strict=False))

    def _seal(self, hidden: bytes) -> bytes:
        return hmac.new(self._seal_key, hidden, hashlib.sha256).digest()[:_SEAL]


def _digest(text: str, length: int) -> bytes:
    return hashlib.sha256(text.encode()).digest()[:length]
