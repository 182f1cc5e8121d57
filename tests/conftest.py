"""What every test shares: a skip is an error in CI, and the run ends with a count of each kind of test."""

from __future__ import annotations

import os
from collections import Counter

import pytest
import structlog
from hypothesis import settings

# Machines are shared: no deadline. The same examples each time, so that a failure is the change's own; `make fuzz` and
# `make proof` draw new ones.
settings.register_profile("repeatable", deadline=None, derandomize=True)
settings.register_profile("exploring", deadline=None, max_examples=2000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))

# A fault is told in a millisecond, as the server tells it: a pretty traceback takes seconds of a busy machine, in which
# the timers of its own test run out.
_PLAIN = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
structlog.configure(processors=[*structlog.get_config()["processors"][:-1], _PLAIN])

_UNITS = "unit and machine tests"
_KINDS = {
    "scenes": "scenes with real telephones and mail clients",
    "interop": "scenes with programs of others",
    "nat": "scenes behind real routers",
    "simulation": "simulations",
    "fuzz": "fuzz targets",
}


def _kind(nodeid: str) -> str:
    parts = nodeid.split("/")
    return _KINDS.get(parts[1], _UNITS) if len(parts) > 1 else _UNITS


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]):  # type: ignore[no-untyped-def]
    report = yield
    if os.environ.get("CI") and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped in CI, where nothing may be: {report.longrepr}"
    return report


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Proofs run only when asked for by `-m proof`. What takes longest, whole scenes, begins first."""
    items.sort(key=lambda item: _kind(item.nodeid) == _UNITS)
    if "proof" in (config.getoption("-m") or ""):
        return
    chosen = [item for item in items if "proof" not in item.keywords]
    dropped = [item for item in items if "proof" in item.keywords]
    if dropped:
        config.hook.pytest_deselected(items=dropped)
        items[:] = chosen


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    ran: Counter[str] = Counter()
    for outcome in ("passed", "failed", "xfailed"):
        for report in terminalreporter.stats.get(outcome, []):
            if getattr(report, "when", "call") == "call":
                ran[_kind(report.nodeid)] += 1
    if ran:
        terminalreporter.section("tests by kind")
        for kind, count in sorted(ran.items()):
            terminalreporter.line(f"{count:5d}  {kind}")
