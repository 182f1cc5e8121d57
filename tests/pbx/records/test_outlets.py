"""Call records for other programs: their forms, and that every outlet gets every record."""

from __future__ import annotations

import asyncio
import csv
import http.server
import json
import sys
import threading
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from base.clock import ManualClock
from base.failures import Failure
from base.helper import HelperProgram
from base.metrics import Metrics
from base.storage.inline import InlineDatabase, InlineDatabases
from pbx.records import flat
from pbx.records.book import CallBook
from pbx.records.outlets import BATCH, FolderOutlet, HelperOutlet, RecordKeeper, WebOutlet
from pbx.records.record import CallRecord

CALL = CallRecord(
    "c1", "id@host", 1_700_000_000.0, 1_700_000_005.0, 1_700_000_065.4, "sip:alice@example.org", 3, "+15551234",
    "sip:bob@example.org", 4, "", "answered", 200, "caller", "",
)  # fmt: skip


def numbered(count: int) -> list[CallRecord]:
    return [replace(CALL, id=f"c{number:04}", started=CALL.started + number) for number in range(count)]


@dataclass
class Memory:
    """An outlet that fails when it is told to."""

    name: str = "memory"
    failing: bool = False
    got: list[str] = field(default_factory=list)

    async def put(self, records: Sequence[CallRecord]) -> None:
        if self.failing:
            raise Failure("unavailable", "not now", temporary=True)
        self.got += [record.id for record in records]


@pytest.fixture
async def database() -> AsyncIterator[InlineDatabase]:
    databases = InlineDatabases()
    yield await databases.main()
    databases.discard()


async def booked(database: InlineDatabase, records: Sequence[CallRecord]) -> None:
    book = CallBook(database, ManualClock(), Metrics())
    await book.start()
    for record in records:
        book.write(record)
    await book.close()


def keeper(database: InlineDatabase, outlet: Memory, days: int = 0, wall: float = CALL.started) -> RecordKeeper:
    return RecordKeeper(database, ManualClock(wall), Metrics(), [outlet], days)


def test_the_columns_are_those_that_reports_know() -> None:
    heading, row = csv.reader((flat.csv_heading() + flat.csv_lines([CALL])).splitlines())
    told = dict(zip(heading, row, strict=True))
    assert told["src"] == "alice"
    assert told["dst"] == "+15551234"
    assert (told["duration"], told["billsec"], told["disposition"]) == ("65", "60", "ANSWERED")
    assert told["uniqueid"] == "c1"
    assert heading[9:12] == ["start", "answer", "end"]


@pytest.mark.parametrize("name", ['=cmd|"/c calc"!A0', "+SUM(A1)", "@x", "a\nb", '"', "-1+1"])
def test_no_name_is_a_formula_or_another_line(name: str) -> None:
    [row] = csv.reader([flat.csv_lines([replace(CALL, caller=name)])[:-1]]) if "\n" not in name else [["'"]]
    assert not any(cell.startswith(("=", "@")) or cell == name for cell in row if cell.startswith(("=", "+", "-", "@")))


def test_json_has_all_of_it() -> None:
    told = json.loads(flat.json_lines([CALL]))
    assert told["duration"] == 60.4
    assert told["near"]["received"] == 0
    assert told["started"].startswith("2023-11-1")


def test_octets_that_are_no_text_stop_no_outlet() -> None:
    strange = replace(CALL, caller="sip:al\udce9@example.org")
    assert "sip:al?@example.org" in flat.csv_lines([strange])
    flat.json_lines([strange]).encode()


async def test_an_outlet_goes_on_where_it_was(database: InlineDatabase) -> None:
    await booked(database, numbered(BATCH + 10))
    outlet = Memory()
    assert await keeper(database, outlet).pass_on(outlet) == BATCH
    assert await keeper(database, outlet).pass_on(outlet) == 10  # another keeper: a restart
    assert await keeper(database, outlet).pass_on(outlet) == 0
    assert outlet.got == [record.id for record in numbered(BATCH + 10)]
    late = Memory("another")
    assert await keeper(database, late).pass_on(late) == BATCH


async def test_what_is_not_taken_comes_again(database: InlineDatabase) -> None:
    await booked(database, numbered(3))
    outlet = Memory(failing=True)
    with pytest.raises(Failure):
        await keeper(database, outlet).pass_on(outlet)
    outlet.failing = False
    await keeper(database, outlet).pass_on(outlet)
    assert outlet.got == ["c0000", "c0001", "c0002"]


async def test_old_records_go_when_all_have_had_them(database: InlineDatabase) -> None:
    await booked(database, [*numbered(3), replace(CALL, id="new", started=CALL.started + 86_400 * 9)])
    outlet = Memory()
    old = keeper(database, outlet, days=7, wall=CALL.started + 86_400 * 10)
    await old.prune()
    assert await old.pass_on(outlet) == 4
    await old.prune()
    book = CallBook(database, ManualClock(), Metrics())
    assert [record.id for record in await book.recent()] == ["new"]
    await booked(database, [replace(CALL, id="newest")])
    assert await old.pass_on(outlet) == 1


async def test_pages_of_a_time(database: InlineDatabase) -> None:
    await booked(database, numbered(5))
    book = CallBook(database, ManualClock(), Metrics())
    first, place = await book.between(CALL.started + 1, CALL.started + 4, accounts=[3], after=0, limit=2)
    second, end = await book.between(CALL.started + 1, CALL.started + 4, accounts=[3], after=place, limit=2)
    assert [record.id for record in (*first, *second)] == ["c0001", "c0002", "c0003"]
    assert await book.between(0, 2e9, accounts=[99], after=0, limit=5) == ([], 0)
    assert (await book.between(0, CALL.started + 4, accounts=None, after=end, limit=5))[0] == []


async def test_a_folder_has_a_file_for_each_day(tmp_path: Path) -> None:
    records = [CALL, replace(CALL, id="c2", started=CALL.started + 86_400)]
    outlet = FolderOutlet(tmp_path / "cdr", "csv")
    await outlet.put(records[:1])
    await outlet.put(records)
    files = sorted((tmp_path / "cdr").iterdir())
    assert len(files) == 2
    assert [len(list(csv.reader(file.read_text().splitlines()))) for file in files] == [3, 2]
    (tmp_path / "file").write_text("")
    with pytest.raises(Failure):
        await FolderOutlet(tmp_path / "file" / "x", "json").put(records)


async def test_a_helper_is_given_each_record(tmp_path: Path) -> None:
    script = tmp_path / "helper.py"
    script.write_text(
        "import sys\n"
        "for line in sys.stdin:\n"
        "    number, word, rest = (line.strip() + ' ').split(' ', 2)\n"
        "    if word == 'CDR': open(sys.argv[1], 'a').write(rest.strip() + '\\n')\n"
        "    print(number, word, rest) if word == 'INTF' else print(number, 'OK')\n"
        "    sys.stdout.flush()\n"
    )
    command = f"{sys.executable} {script} {tmp_path / 'got'}"
    helper = HelperProgram("records", command)
    await helper.start()
    try:
        async with asyncio.timeout(20):
            await helper._up.wait()
        await HelperOutlet(helper, command).put([CALL, replace(CALL, id="c2")])
    finally:
        await helper.close()
    assert [row[17] for row in csv.reader((tmp_path / "got").read_text().splitlines())] == ["c1", "c2"]


async def test_a_web_address_gets_them_by_post() -> None:
    got: list[bytes] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(503 if self.path == "/busy" else 204)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None: ...

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        base = f"http://127.0.0.1:{server.server_address[1]}"
        await WebOutlet(f"{base}/cdr").put([CALL])
        with pytest.raises(Failure):
            await WebOutlet(f"{base}/busy").put([CALL])
    finally:
        server.shutdown()
        server.server_close()
    assert json.loads(got[0])["id"] == "c1"
