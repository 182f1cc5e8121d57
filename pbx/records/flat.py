"""Call records for other programs: flat CSV with the columns that people's reports have, and JSON with all of it. Pure.

The columns are those of Asterisk's Master.csv, in its order, with its words; spec: conventions §4.8.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from pbx.records.record import CallRecord, Outcome

COLUMNS = (
    "accountcode", "src", "dst", "dcontext", "clid", "channel", "dstchannel", "lastapp", "lastdata", "start", "answer",
    "end", "duration", "billsec", "disposition", "amaflags", "userfield", "uniqueid", "linkedid", "peeraccount",
    "sequence",
)  # fmt: skip
_DISPOSITIONS: dict[Outcome, str] = {
    "answered": "ANSWERED",
    "busy": "BUSY",
    "no-answer": "NO ANSWER",
    "cancelled": "NO ANSWER",
    "failed": "FAILED",
}


def csv_lines(records: Iterable[CallRecord]) -> str:
    """Without a heading; each ends with a line feed. Spreadsheets are kept from taking a text for a formula."""
    text = io.StringIO()
    writer = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n")
    writer.writerows([_harmless(cell) for cell in _cells(record)] for record in records)
    return text.getvalue()


def csv_heading() -> str:
    return ",".join(f'"{column}"' for column in COLUMNS) + "\n"


def json_lines(records: Iterable[CallRecord]) -> str:
    """One object a line, in ASCII: callers send octets that are no UTF-8."""
    return "".join(json.dumps(as_object(record)) + "\n" for record in records)


def as_object(record: CallRecord) -> dict[str, Any]:
    """Times as ISO 8601 in local time, and all else as the record has it."""
    whole = asdict(record) | {"duration": round(record.duration, 3)}
    times = {key: _iso(whole[key]) for key in ("started", "answered", "ended")}
    events = [asdict(event) | {"at": _iso(event.at)} for event in record.events]
    return whole | times | {"events": events, "recordings": list(record.recordings)}


def text_line(record: CallRecord) -> str:
    """For a helper program: the CSV without its line end."""
    return csv_lines([record]).rstrip("\n")


def _cells(record: CallRecord) -> Sequence[str]:
    ringing = max(0.0, record.ended - record.started)
    return (
        "",
        _user(record.caller),
        _user(record.dialled),
        "",
        record.caller,
        f"SIP/{_user(record.caller)}",
        f"SIP/{_user(record.callee)}" if record.callee else "",
        record.program or "Dial",
        record.callee,
        _stamp(record.started),
        _stamp(record.answered),
        _stamp(record.ended),
        str(round(ringing)),
        str(round(record.duration)),
        _DISPOSITIONS[record.outcome],
        "DOCUMENTATION",
        "; ".join(filter(None, (record.cause, *record.recordings))),
        record.id,
        record.call_id,
        "",
        "",
    )


def _user(address: str) -> str:
    """The local part of an address or URI."""
    return (
        address.partition(":")[2].partition("@")[0] if ":" in address.partition("@")[0] else address.partition("@")[0]
    )


def _harmless(cell: str) -> str:
    cell = cell.encode("utf-8", "replace").decode()
    return (
        f"'{cell}" if cell[:1] in ("=", "+", "-", "@", "\t", "\r") and not cell[1:].replace(".", "").isdigit() else cell
    )


def _stamp(moment: float | None) -> str:
    return "" if moment is None else datetime.fromtimestamp(moment).strftime("%Y-%m-%d %H:%M:%S")


def _iso(moment: object) -> str | None:
    if not isinstance(moment, int | float):
        return None
    return datetime.fromtimestamp(moment).astimezone().isoformat(timespec="milliseconds")
