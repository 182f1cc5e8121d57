"""Lines of the log: their form, their levels, and what hostile values cannot do to them."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator

import pytest
import structlog
import structlog.testing

from base.log import configure, get_logger


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    before = structlog.get_config()
    yield
    structlog.configure(**before)


def test_a_line_has_time_level_event_name_and_sorted_fields(capsys: pytest.CaptureFixture[str]) -> None:
    configure("info")
    get_logger("pbx.calls").info("call", to="sip:bob@x", id="7", seconds=0.5, agent="A Phone")
    line = capsys.readouterr().err
    assert re.fullmatch(
        r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \[info     \] call                     \[pbx.calls\] "
        r"agent='A Phone' id=7 seconds=0.5 to=sip:bob@x\n",
        line,
    )


def test_levels_below_are_silent(capsys: pytest.CaptureFixture[str]) -> None:
    configure("warning")
    logger = get_logger("a")
    logger.info("no")
    logger.debug("no")
    logger.warning("yes")
    assert capsys.readouterr().err.count("\n") == 1


def test_a_value_cannot_forge_a_line_or_a_field(capsys: pytest.CaptureFixture[str]) -> None:
    configure("info")
    get_logger("a").info("x", agent="evil\n2026-01-01 forged", user="a b=c", colour="\x1b[31m", wide="\x9b31m")
    out = capsys.readouterr().err
    assert out.count("\n") == 1
    assert "\x1b" not in out
    assert "\x9b" not in out
    assert "user='a b=c'" in out


def test_an_exception_shows_its_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    configure("info")
    try:
        raise KeyError("lost")
    except KeyError:
        get_logger("a").exception("failed", call_id="1")
    first, *rest = capsys.readouterr().err.splitlines()
    assert "[error    ] failed" in first
    assert rest[0].startswith("Traceback")
    assert rest[-1] == "KeyError: 'lost'"


def test_json_is_one_object_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    configure("info", json=True)
    get_logger("a").warning("full", left=3)
    row = json.loads(capsys.readouterr().err)
    assert (row["event"], row["level"], row["logger"], row["left"]) == ("full", "warning", "a", 3)
    assert row["timestamp"]


def test_a_log_that_cannot_be_written_harms_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    class Full(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(28, "No space left on device")

    configure("info")
    monkeypatch.setattr("sys.stderr", Full())
    get_logger("a").error("lost")


def test_tests_can_still_capture(capsys: pytest.CaptureFixture[str]) -> None:
    configure("info")
    logger = get_logger("a")
    logger.info("before")
    with structlog.testing.capture_logs() as logs:
        logger.info("caught", n=1)
    assert logs == [{"event": "caught", "n": 1, "log_level": "info"}]
