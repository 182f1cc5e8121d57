"""What must hold when a simulated town has come to rest: nothing is left over, and the call records tell what happened.

Each fault is told in words.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from apps.recovery import SHORTEST
from pbx.b2bua.leg import MEDIA_LOST
from pbx.records.book import CUT, PULSE
from pbx.records.record import CallRecord
from tests.simulation import lamps
from tests.simulation.calling import Placed
from tests.simulation.clock import EPOCH
from tests.simulation.misfortunes import AFTERMATH
from tests.simulation.server import LATENCY
from tests.simulation.studio import VirtualStream
from tests.simulation.town import Town

SPREAD = 45.0
"""Seconds that the two ends of a call may differ about its length on a bad network: an answer and a BYE repeated."""
AT_ONCE = 2.0
"""Seconds in which a caller hangs up on a second telephone that answers."""


def check(town: Town, records: Sequence[CallRecord], messages: int) -> list[str]:
    """Everything that does not hold; `records` and `messages` are those of the whole run."""
    town.watch.check_answered(town.clock.now())
    return [
        *_check_phones(town),
        *_check_rest(town),
        *_check_records(town, records),
        *_check_messages(town, messages),
    ]


def _check_phones(town: Town) -> list[str]:
    found = [fault for phone in town.phones for fault in phone.faults]
    for phone in town.phones:
        found += [f"{phone.name} at {phone.home} still has {leg.call_id[:8]} open" for leg in phone.open_legs]
        if phone.layer.client_count or phone.layer.server_count:
            found.append(f"{phone.name} has transactions left")
    return found


def _check_rest(town: Town) -> list[str]:
    """Nothing of a call is left in the server."""
    house, found = town.house, []
    layer: Any = house.stack._layer
    exchange = house.switchboard.exchange
    counted = town.server.counted
    for what, count in (
        ("client transactions", sum(1 for _, method in layer._clients if method != "OPTIONS")),  # those ask for ever
        ("server transactions", layer.server_count),
        ("answers kept", layer.spent_count),
        ("calls", len(exchange.calls)),
        ("proxied calls", len(exchange.proxied)),
        ("legs", exchange.legs),
        ("subscriptions", lamps.count(house) if town.server.up else 0),
        ("call tasks", len(exchange._tasks)),
        ("talks", len(exchange.talks)),
        ("tapes", len(town.studio.tapes)),
        ("recordings that go on", len(house.recordings._going)),
        ("calls counted of accounts", sum(exchange._calls_of.values())),
        ("streams", town.studio.loaded()),
        ("programs", len(house.host.running)),
        ("files in the spool", sum(1 for path in (town.folder / "spool").glob("*"))),
        ("clips", sum(1 for path in (town.folder / "clips").glob("*"))),
        ("faults in calls", counted("calls.faults")),
        ("faults in the transport", counted("pbx.transport.faults")),
        ("malformed messages", counted("pbx.transport.malformed")),
        ("broken programs", counted("apps.tasks.broken") + counted("apps.tasks.failed")),
    ):
        if count:
            found.append(f"{count:.0f} {what} left")
    return found


def _check_records(town: Town, all_records: Sequence[CallRecord]) -> list[str]:
    found = []
    by_call: dict[str, list[CallRecord]] = defaultdict(list)
    for record in all_records:
        by_call[record.call_id].append(record)
    for placed in town.placed:
        records = by_call.pop(placed.call_id, [])
        if rough(town, placed) or placed.transferred or _stepped_aside(town, placed):
            # an INVITE that is repeated to a server which stood up again is a call of its own there
            most = max(1, len(town.watch.proved.get(placed.call_id, ()))) + placed.transferred
            if len(records) > most:
                found.append(f"{len(records)} records of call {placed.call_id[:8]}, more than {most}")
            found += _check_cut(town, placed, records)
            continue
        expected = 1 if placed.call_id in town.watch.proved and placed.status != 401 else 0
        if len(records) != expected:
            found.append(f"{len(records)} records of call {placed.call_id[:8]} ({placed.status}), not {expected}")
        elif records:
            found += [f"record of {placed.call_id[:8]}: {fault}" for fault in compare(town, placed, records[0])]
    for record in (record for records in by_call.values() for record in records):
        if not _placed_by_program(town, record) and not _transferred(town, record):
            found.append(f"record of nobody's call: {record}")
    return found


def _stepped_aside(town: Town, placed: Placed) -> bool:
    """His telephone has sent another party to where he was asking: that one has the call and its record now (RFC 5589
    §7.6)."""
    sent = any(other.phone is placed.phone and other.referred is not None for other in town.placed)
    return sent and placed.status == 487 and not placed.cancelled


def _check_cut(town: Town, placed: Placed, records: list[CallRecord]) -> list[str]:
    """A call that a kill of the server has cut has its record, too, also when it only rang; it ends about then."""
    rung = placed.answered_at if placed.rung_at is None else placed.rung_at
    cut = next((when for when in town.misfortunes.kills if _on_at(placed, rung, when)), None)
    if cut is None:
        return []
    if not records:
        return [f"no record of call {placed.call_id[:8]}, which was on when the server was killed"]
    answered = _on_at(placed, placed.answered_at, cut)
    return [
        f"record of {placed.call_id[:8]}: {record.outcome}, cut at {record.ended - EPOCH:.1f}, not at {cut:.1f}"
        for record in records
        if record.cause == CUT
        and ((answered and record.outcome != "answered") or not 0 <= cut - (record.ended - EPOCH) <= PULSE + 1)
    ]


def _on_at(placed: Placed, since: float | None, when: float) -> bool:
    """That had come to pass, for long enough to be written down, and the call was not over."""
    return since is not None and since < when - 4 * LATENCY and (placed.ended_at is None or placed.ended_at > when)


def rough(town: Town, placed: Placed) -> bool:
    """Something befell the town while this call was on."""
    until = placed.began if placed.ended_at is None else placed.ended_at
    return any(start <= until and placed.began <= end for start, end in town.misfortunes.rough)


def _placed_by_program(town: Town, record: CallRecord) -> bool:
    """What the attendant places for its caller is a call of its own: it begins while that caller talks to it."""
    talks = [(placed.answered_at, placed.ended_at) for placed in town.placed if placed.plan.keys]
    began = record.started - EPOCH
    return any(answered is not None and answered <= began <= (ended or began) + 1 for answered, ended in talks)


def _transferred(town: Town, record: CallRecord) -> bool:
    """What a REFER led to is a call of its own."""
    targets = {placed.plan.transfer.target for placed in town.placed if placed.plan.transfer is not None}
    return any(f"sip:{target}@" in record.dialled for target in targets)


def compare(town: Town, placed: Placed, record: CallRecord) -> list[str]:
    """The record and the caller's own view."""
    if placed.status == -1:
        return ["the caller never got an answer"] if town.network.weather.calm else []
    if placed.answered != (record.outcome == "answered") or placed.status != record.status:
        return [f"the caller got {placed.status}, the record says {record.outcome} {record.status}"]
    if record.caller_account is None or not record.caller.startswith(f"sip:{placed.phone.name}@"):
        return [f"{placed.phone.name} called, the record says {record.caller}"]
    if placed.status == 487 and record.ended_by != "caller":
        return [f"cancelled, but ended by {record.ended_by!r}"]
    return _compare_talk(town, placed, record) if placed.answered else []


def _compare_talk(town: Town, placed: Placed, record: CallRecord) -> list[str]:
    found = []
    cut = _lost_its_audio(town, placed, record)
    lasted = (placed.hung_up and placed.talked >= placed.plan.talk - 0.001) or cut
    if placed.plan.lasting and not record.program and not lasted:
        found.append(f"should have lasted {placed.plan.talk:.0f} s, ended after {placed.talked:.0f} s ({record.cause})")
    if placed.bye_received and not placed.hung_up and record.ended_by == "caller":
        found.append("the caller was hung up on, and is said to have ended it")
    if placed.hung_up and not placed.bye_received and record.ended_by == "server" and not (cut or record.cause == CUT):
        found.append(f"the caller hung up, but it ended by {record.ended_by!r} ({record.cause})")
    if placed.answered_at is not None and placed.ended_at is not None:
        talked = placed.ended_at - placed.answered_at
        if abs(talked - record.duration) > (0.5 if town.network.weather.calm else SPREAD):
            found.append(f"talked for {talked:.2f} s, the record says {record.duration:.2f}")
    if not record.program and (met := _met(town, placed)) and record.callee.partition("@")[0] not in met:
        found.append(f"answered by {record.callee}, but the audio was joined with {met}")
    return found


def _lost_its_audio(town: Town, placed: Placed, record: CallRecord) -> bool:
    """Decision 11: the calls of a dead media worker end."""
    ended = placed.ended_at or 0.0
    return record.cause == MEDIA_LOST and any(died <= ended <= died + AFTERMATH for died in town.studio.deaths)


def _met(town: Town, placed: Placed) -> set[str]:
    """The accounts whose phones have answered and whose audio was joined with this caller's: the B2BUA's Call-IDs are
    its own. Not one that answered too late: the caller has hung up on it at once."""
    numbers = {n for stream in town.studio.streams if _port(stream) == placed.port for n in stream.met}
    ports = {_port(stream) for stream in town.studio.streams if stream.id in numbers}
    taken = [each for phone in town.phones for each in phone.taken if each.port in ports]
    answered = [each for each in taken if each.answered_at is not None]
    return {each.phone.name for each in answered if not (each.bye_received and each.talked < AT_ONCE)}


def _port(stream: VirtualStream) -> int:
    return 0 if stream.settings is None else stream.settings.remote[1]


def _check_messages(town: Town, count: int) -> list[str]:
    """No more messages than recordings that were long enough."""
    takings = [taking for stream in town.studio.streams for taking in stream.takings]
    most = sum(1 for taking in takings if taking.seconds >= (SHORTEST if taking.cause == "cut" else 1.49))
    return [f"{count} messages of {most} recordings"] if count > most else []
