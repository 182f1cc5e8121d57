"""The one page that every SIP request walks down: screened, matched to its dialog, sender proved, resolved, handed on.

It answers refusals itself; what a call, a registration or a subscription then does is not decided here. Each refusal is
one line below, in the order in which they are met.

RFC 3261 §8.2 and §16.3 (order of checks), §22 (authentication), §12.2.2 (481); decisions 4, 5, 8, 9.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from base.clock import Clock
from base.entropy import Entropy
from base.metrics import Metrics
from directory.model import Account, AccountRoute, Caller, ForeignRoute, Resolution
from pbx.policy.blocks import Blocks
from pbx.policy.identity import Authenticator, Unproven, Wrong
from pbx.policy.inbound import Lines, NoLines, called, concealed, from_trunk
from pbx.policy.ports import CallControl, Directory, Forwarding, Messages, Ourselves, Registrations, Subscriptions
from pbx.policy.relaying import account_lets_out, is_gateway, may_relay
from pbx.policy.screening import Refusal, screen
from pbx.policy.settings import EVENTS, IN_DIALOG_ONLY, PolicySettings
from pbx.policy.strangers import Strangers
from pbx.policy.watch import Watch
from pbx.signal.foreign import address_of
from pbx.sipcore.flow import Flow
from pbx.sipcore.message import Request, Response
from pbx.sipcore.server_transaction import ServerTransaction
from pbx.sipcore.uri import Uri
from pbx.workarounds.rows import Workarounds

SWITCHED_OFF = Refusal(403, "Service switched off")


@dataclass(frozen=True, slots=True)
class Rooms:
    """To whom the policy hands requests on."""

    calls: CallControl
    subscriptions: Subscriptions
    registrations: Registrations
    forwarding: Forwarding
    messages: Messages


class Policy:
    """The core of the SIP stack (`CorePort`)."""

    def __init__(
        self,
        clock: Clock,
        entropy: Entropy,
        metrics: Metrics,
        directory: Directory,
        stack: Ourselves,
        rooms: Rooms,
        settings: PolicySettings | None = None,
        workarounds: Workarounds | None = None,
        lines: Lines | None = None,
    ) -> None:
        self._metrics = metrics
        self._lines = lines or NoLines()
        self._directory = directory
        self._stack = stack
        self._rooms = rooms
        self._settings = settings or PolicySettings()
        self._authenticator = Authenticator(clock, entropy, directory, workarounds or Workarounds())
        self._strangers = Strangers(clock, metrics, directory)
        self._watch = Watch(clock, metrics, self._settings, lambda: directory.network)

    def close(self) -> None:
        self._watch.close()

    @property
    def blocks(self) -> Blocks:
        """Sources that are shut out."""
        return self._watch.blocks

    # --- the page ----------------------------------------------------------------------------------------------------

    def on_request(self, transaction: ServerTransaction) -> None:
        """From the transaction layer: a new request, neither ACK nor CANCEL."""
        request = transaction.request
        self._metrics.count(f"sip.requests.{request.method if request.method in self._settings.allowed else 'other'}")

        from_ourselves = self._stack.ours(*transaction.flow.remote)
        passes = self._stack.passes(request)
        refusal = screen(request, self._settings, from_ourselves=from_ourselves, passes=passes)
        if refusal is not None:
            self._refuse(transaction, refusal)
            return

        if request.method == "REGISTER":  # Interop: some phones keep a To tag when they register again
            self._register(transaction)
            return
        if request.to_tag:
            if not self._known_dialog(transaction):
                self._refuse(transaction, Refusal(481))
            return
        if request.method in IN_DIALOG_ONLY:
            self._refuse(transaction, Refusal(481))
            return
        if request.method == "OPTIONS" and self._target_domain(request) is not None:
            self._options(transaction)
            return

        line = self._lines.sending(request, transaction.flow) if request.method == "INVITE" else None
        if line is not None:
            self._metrics.count("sip.trunk-calls")
            caller = from_trunk(line, transaction)
            resolution = called(self._directory, line, request, caller)
            concealed(self._directory, line, request)
            self._hand_on(transaction, caller, resolution)
            return
        proved = self._identify(transaction)
        if proved is not None:
            resolution = self._resolve(request, proved)
            if not self._is_on(proved, resolution):
                self._refuse(transaction, SWITCHED_OFF)
                return
            if resolution.hidden:
                request.set("Privacy", "id")  # RFC 3323 §4.2: as if his telephone had asked for it
            self._hand_on(transaction, proved, resolution)

    def _is_on(self, caller: Caller, resolution: Resolution) -> bool:
        """Whether his account may use telephones (`AccessModes`); for help it always may."""
        payer, route = caller.payer, resolution.route
        help_ = isinstance(route, ForeignRoute) and route.emergency
        return payer is None or help_ or self._directory.allows(payer.id, "Signal")

    def _hand_on(self, transaction: ServerTransaction, caller: Caller, resolution: Resolution) -> None:
        route = resolution.route
        if isinstance(route, ForeignRoute) and not may_relay(self._directory, caller, route):
            self._relay_denied(transaction, caller)
            return
        match transaction.request.method:
            case "INVITE":
                self._rooms.calls.invite(transaction, caller, resolution)
            case _ if isinstance(route, ForeignRoute):
                self._rooms.forwarding.forward(transaction, caller, resolution)
            case "SUBSCRIBE":
                self._rooms.subscriptions.subscribe(transaction, caller, resolution)
            case "PUBLISH":
                self._rooms.subscriptions.publish(transaction, caller, resolution)
            case "MESSAGE" if not (isinstance(route, AccountRoute) and route.instance):
                self._rooms.messages.message(transaction, caller, resolution)
            case _:
                self._rooms.forwarding.forward(transaction, caller, resolution)

    def on_ack(self, request: Request, flow: Flow) -> None:
        """From the transaction layer: the ACK of a 2xx, or of nothing. It is never answered."""
        if not self._rooms.calls.ack(request, flow) and not self._rooms.forwarding.ack(request, flow):
            self._metrics.count("sip.acks.stray")

    def on_stray_response(self, response: Response, flow: Flow) -> None:
        """From the transaction layer. RFC 6026 §7: not forwarded; a late 2xx may still be a call's business."""
        self._rooms.calls.stray_response(response, flow)

    # --- dialogs -----------------------------------------------------------------------------------------------------

    def _known_dialog(self, transaction: ServerTransaction) -> bool:
        """Decision 4: a dialog that we know, or our seal in the Route; never the To tag alone."""
        return (
            self._rooms.calls.in_dialog(transaction)
            or self._rooms.subscriptions.in_dialog(transaction)
            or self._rooms.forwarding.in_dialog(transaction)
        )

    # --- who is it ---------------------------------------------------------------------------------------------------

    def _identify(self, transaction: ServerTransaction) -> Caller | None:
        """The caller of a request outside dialogs; None when it has been answered here."""
        request, remote = transaction.request, transaction.flow.remote
        sender, network = request.from_, self._directory.network
        trusted, client = remote[0] in network.trusted, remote[0] in network.clients
        caller = Caller(str(sender.uri), sender.display, trusted=trusted, client=client, source=remote)
        proof = self._authenticator.prove(request, remote[0])
        if isinstance(proof, Account):
            return self._as_account(transaction, caller, proof)
        if trusted or client:  # a password, if they say any, may be meant for somebody else
            return caller
        if isinstance(proof, Unproven):
            return self._unproved(transaction, caller, proof)
        self._wrong(transaction, proof)
        return None

    def _as_account(self, transaction: ServerTransaction, caller: Caller, account: Account) -> Caller | None:
        """RFC 3261 §22.1: the identity that was proved must be the one that is claimed, except for gateways, who call
        in other people's names; what they may do they may by their login."""
        self._watch.succeeded(transaction.flow)
        sender = transaction.request.from_.uri
        own = self._belongs(sender, account) or sender.host.lower().endswith("anonymous.invalid")
        if is_gateway(self._directory, account) and (transaction.request.method == "INVITE" or not own):
            allowed = account_lets_out(self._directory, account)
            return replace(caller, trusted=True, rights=account if allowed else None)
        if own:
            return replace(caller, account=account)
        if caller.trusted or caller.client:
            return caller
        self._wrong(transaction, Wrong(str(sender), f"not-{account.name}"))
        return None

    def _unproved(self, transaction: ServerTransaction, caller: Caller, proof: Unproven) -> Caller | None:
        """Somebody who proves nothing: challenged, unless he calls from elsewhere one who takes strangers. From
        elsewhere to elsewhere he is denied when it is known where that leads."""
        request = transaction.request
        target, own = self._target_domain(request), self._directory.local_domain(request.from_.uri.host)
        if own is None and (target is None or self._takes_stranger(transaction, caller, target)):
            return caller
        self._challenge(transaction, own or target or self._directory.main_domain, proof, proxy=target is None)
        return None

    def _takes_stranger(self, transaction: ServerTransaction, caller: Caller, target: str) -> bool:
        request, host = transaction.request, transaction.flow.remote[0]
        if request.method != "INVITE" or not self._strangers.wanted(self._resolve(request, caller), target):
            return False
        if not self._strangers.too_many(host):
            return True
        self._watch.suspicious(transaction.flow, caller.uri, "flood")
        return False

    def _belongs(self, uri: Uri, account: Account) -> bool:
        """A `tel:` number is one of the account's own domain."""
        found = self._directory.login(uri.user, uri.host if uri.is_sip else account.domain)
        return found is not None and found.id == account.id

    def _register(self, transaction: ServerTransaction) -> None:
        """RFC 3261 §10.3 steps 1 to 5: always proved, and only for oneself. To is the address of record."""
        request = transaction.request
        owner = request.to.uri
        if not owner.is_sip:  # RFC 3261 §10.2: the address of record is a SIP or SIPS URI
            self._refuse(transaction, Refusal(400, "To is no SIP address"))
            return
        realm = self._directory.local_domain(owner.host)
        if realm is None:
            self._refuse(transaction, Refusal(403, "Not a domain of this server"))
            return
        proof = self._authenticator.prove(request, transaction.flow.remote[0])
        match proof:
            case Account() if self._belongs(owner, proof) and not self._directory.allows(proof.id, "Signal"):
                self._refuse(transaction, SWITCHED_OFF)
            case Account() if self._belongs(owner, proof):
                self._watch.succeeded(transaction.flow)
                self._rooms.registrations.register(transaction, proof)
            case Account():
                self._wrong(transaction, Wrong(str(owner), f"not-{proof.name}"))
            case Wrong():
                self._wrong(transaction, proof)
            case Unproven():
                self._challenge(transaction, realm, proof, proxy=False)

    # --- where does it lead ------------------------------------------------------------------------------------------

    def _target_domain(self, request: Request) -> str | None:
        """The domain of ours that the Request-URI means; a `tel:` number is in the sender's domain, or the main one."""
        uri = Uri.parse(request.uri)
        if uri.is_sip:
            return self._directory.local_domain(uri.host)
        return self._directory.local_domain(request.from_.uri.host) or self._directory.main_domain

    def _resolve(self, request: Request, caller: Caller) -> Resolution:
        uri = Uri.parse(request.uri)
        one = self._rooms.registrations.one_phone(uri)
        if one is not None:
            return Resolution(one, (f"{uri.user} is the address of one telephone",))
        domain = self._target_domain(request) or uri.host.lower()
        # What is not a call is for the account itself, never for the programs that take its calls.
        services = request.method == "INVITE" and uri.params.get("services") != "no"
        return self._directory.resolve(address_of(uri, domain), caller=caller, services=services, hides=True)

    # --- answers -----------------------------------------------------------------------------------------------------

    def _options(self, transaction: ServerTransaction) -> None:
        """RFC 3261 §11.2. The same for every local address: it tells nobody which of them exist."""
        headers = (
            ("Allow", ", ".join(self._settings.allowed)),
            ("Accept", "application/sdp"),
            ("Supported", ", ".join(sorted(self._settings.extensions))),
            ("Allow-Events", ", ".join(EVENTS)),
        )
        transaction.reply(200, headers=headers)

    def _refuse(self, transaction: ServerTransaction, refusal: Refusal) -> None:
        self._metrics.count(f"sip.refused.{refusal.status}")
        transaction.refuse(refusal.status, refusal.reason, refusal.headers)

    def _challenge(self, transaction: ServerTransaction, realm: str, proof: Unproven, *, proxy: bool) -> None:
        self._watch.challenged(transaction.flow)
        source = transaction.flow.remote[0]
        headers = self._authenticator.challenges(transaction.request, source, realm, proxy=proxy, stale=proof.stale)
        self._refuse(transaction, Refusal(407 if proxy else 401, headers=headers))

    def _wrong(self, transaction: ServerTransaction, wrong: Wrong) -> None:
        """One answer for a wrong password, an unknown user and a borrowed identity."""
        self._watch.failed(transaction.flow, wrong.user, wrong.reason, lambda: self._refuse(transaction, Refusal(403)))

    def _relay_denied(self, transaction: ServerTransaction, caller: Caller) -> None:
        """Decision 9: who has not authenticated relays nothing. Of who is known it is no failure."""
        self._metrics.count("sip.relay.denied")
        known = caller.payer is not None or caller.client or caller.trusted
        if not known:
            self._watch.suspicious(transaction.flow, caller.uri, "relay")
        self._refuse(transaction, Refusal(403))
