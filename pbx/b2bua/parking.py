"""The parking lot: calls that wait at a place with a number until somebody of the domain fetches them there.

    transfer to 70n                the party waits at that place, and hears music
    transfer to 700                at the first free one, which a short call shows who has sent it there
    call to 700                    says the first free place; a transfer that this call is the question of parks there
    call to 70n                    fetches who waits there: 404 when nobody does
    after ParkReturn seconds       the party's call rings at who has parked it, by his rules; refused, it waits on

How the fetcher comes to his place is `takeover`'s. conventions §4.3.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from base.clock import Timer
from base.failures import Failure
from base.log import get_logger
from directory.model import Account, AccountRoute, Caller
from directory.plan import slots
from pbx.b2bua.asserted import NOBODY, seen, sent_by
from pbx.b2bua.exchange import Exchange
from pbx.b2bua.fetching import Fetching
from pbx.b2bua.leg import Leg
from pbx.b2bua.parking_voice import Deaf, Digits, Notice
from pbx.b2bua.program_leg import ProgramLeg
from pbx.b2bua.ringback import Ringback
from pbx.b2bua.transfer import Transfer
from pbx.presence.lines import Line, place_id

_log = get_logger("pbx.calls")

Number = tuple[str, str]
"""A domain, and the number of a place in it."""


class Lots:
    """Of all domains."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._taken: dict[Number, Parked] = {}

    def arrive(self, where: Sequence[str], account: Account, leg: ProgramLeg) -> None:
        """A call has come to these places of a domain. `account`: whose prompts are said. Raises Failure("invalid")."""
        domain, span = where if len(where) == 2 else ("", "")
        numbers, party = slots(span), leg.party
        if not numbers or party is None:
            raise Failure("invalid", "No places", private=",".join(where))
        sent = party.transfer
        parker = party.person.account if sent is None else sent.back
        if parker is None or parker.domain != domain:
            leg.reject(404 if sent is None else 403)
        elif sent is None and "-" not in span:
            self._fetch((domain, numbers[0]), leg)
        elif (free := next((each for each in numbers if (domain, each) not in self._taken), None)) is None:
            leg.reject(486)
        else:
            tells = sent is not None and "-" in span and self._exchange.people.setting(parker.id, "ParkTell") != "NO"
            self._take((domain, free), account, leg, parker, tells=tells)

    def _take(self, number: Number, account: Account, leg: ProgramLeg, parker: Account, *, tells: bool) -> None:
        parked = self._taken[number] = Parked(self._exchange, number, account, leg, parker, self._free, tells=tells)
        self._exchange.spawn(parked.begin(), f"park at {number[1]}")

    def _free(self, parked: Parked) -> None:
        if self._taken.get(parked.number) is parked:
            del self._taken[parked.number]

    def _fetch(self, number: Number, leg: ProgramLeg) -> None:
        parked = self._taken.get(number)
        if parked is None or not parked.fetched_by(leg):
            leg.reject(404)


class Parked(Deaf):
    """One place that is taken: by who waits there, or by who has asked where he may send somebody. `tells`: who has
    parked the call does not know where."""

    def __init__(
        self,
        exchange: Exchange,
        number: Number,
        account: Account,
        leg: ProgramLeg,
        parker: Account,
        free: Callable[[Parked], None],
        *,
        tells: bool,
    ) -> None:
        self._exchange = exchange
        self.number = number
        self._account = account
        self._leg = leg
        self._parker = parker
        self._free = free
        self._asks = leg.party is not None and leg.party.transfer is None
        self._digits = Digits(exchange, account, leg, number[1], lambda: None)
        self._tells = tells
        self._notice: Notice | None = None
        self._token = exchange.entropy.token(6)
        self._music: Ringback | None = None
        self._timer: Timer | None = None
        self._fetching: Fetching | None = None

    async def begin(self) -> None:
        """Answer."""
        self._leg.attach(self)
        if await self._leg.accept() is not None:
            self._free(self)
        elif self._asks:
            self._digits.say()
        else:
            self._wait()
            if self._tells:
                self._notice = Notice(self._exchange, self._parker, *self.number)

    def _wait(self) -> None:
        """Somebody is there: music, until he is fetched or returns."""
        if (party := self._leg.party) is None:
            return
        _log.info("parked", party=party.person.uri, at="@".join(self.number[::-1]), by=self._parker.address)
        self._light(party)
        self._music = Ringback(party, "holdmusic")
        self._music.start(self._account)
        seconds = self._exchange.people.setting(self._parker.id, "ParkReturn")
        if isinstance(seconds, int) and seconds > 0:
            self._timer = self._exchange.clock.call_later(float(seconds), self._return)

    def _light(self, party: Leg | None) -> None:
        """The lamp of the place: on while somebody waits there."""
        name = f"{self.number[1]}@{self.number[0]}"
        line, person = f"park-{self._token}", NOBODY if party is None else seen(party.person)
        lit = Line(line, place_id(name), "recipient", "confirmed", person.uri, person.name)
        self._exchange.lines.update(f"park-{name}", [] if party is None else [lit])

    # --- back to who has parked it

    def _return(self) -> None:
        party, parker = self._leg.party, self._parker
        if party is None or party.replacing:
            return
        caller = sent_by(party.person, Caller(party.person.uri))
        _log.info("parked call returns", party=caller.uri, to=parker.address)
        Transfer(party, self._leg, caller, self._returned).begin(AccountRoute(parker), f"sip:{parker.address}")

    def _returned(self, status: int, final: bool) -> None:
        fetching, self._fetching = (self._fetching, None) if final else (None, self._fetching)
        if fetching is not None:
            fetching.start()
        elif final and status != 200:
            self._wait()

    # --- fetched

    def fetched_by(self, leg: ProgramLeg) -> bool:
        """Its caller is to talk to who waits here. False when nobody does, or another one comes just now."""
        party = self._leg.party
        if party is None or self._music is None or party.replacing:
            return False
        if (handed := leg.hand_over()) is None:
            return False
        party.replacing = True
        self._stop_timer()
        fetching = Fetching(self._leg, party, *handed, self._not_fetched)
        if party.transfer is not None:  # it is about to return: no longer
            self._fetching = fetching
            party.transfer.party_gone()
        else:
            self._music.stop(fetching.start)
        return True

    def _not_fetched(self) -> None:
        if not (self._leg.party is None or self._leg.party.ended):
            self._wait()

    # --- told by the leg

    def leg_disconnected(self) -> None:
        self._stop_timer()
        if self._notice is not None:
            self._notice.stop()
        self._light(None)
        self._free(self)

    def leg_transferred(self) -> None:
        """Who has asked has sent somebody in his place."""
        self._digits.stop()
        self._wait()

    def leg_played(self, play: int) -> None:
        self._digits.played(play)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
