"""The fail2ban filter fits the lines that the server writes; the systemd unit is one."""

from __future__ import annotations

import configparser
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from base import log
from base.logins import tell, tell_failure

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
FILTER = EXAMPLES / "fail2ban" / "tandem.conf"
FORMS = {"plain": False, "json": True}
GUESSES = (
    ("sip", ("192.0.2.7", 40656), "alice", "wrong-password"),
    ("sip", ("192.0.2.7", 40656), "evil src=198.51.100.9:1 reason=x\n", "unknown-user"),
    ("sip", ("192.0.2.7", 5061), "sip:bob@example.org", "not-alice"),
    ("imap", ("192.0.2.7", 0), "", "wrong-password"),
)
OTHERS = tuple(("sip", ("192.0.2.7", 5060), "-", reason) for reason in ("relay", "scan", "flood"))


@pytest.fixture
def logged(capsys: pytest.CaptureFixture[str]) -> Iterator[pytest.CaptureFixture[str]]:
    """Standard error, with the log on it as a server writes it; what other tests made of the log is put back."""
    before = structlog.get_config()
    log.configure("info")
    yield capsys
    structlog.configure(**before)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("mode", "found"), [("normal", len(GUESSES)), ("aggressive", len(GUESSES + OTHERS)), ("toll", 1)]
)
def test_the_filter_finds_the_source(
    form: str, mode: str, found: int, tmp_path: Path, logged: pytest.CaptureFixture[str]
) -> None:
    if shutil.which("fail2ban-regex") is None:
        pytest.skip("fail2ban is not installed")
    log.configure("info", json=FORMS[form])
    logger = log.get_logger("pbx.policy")
    for proto, source, user, reason in (*GUESSES, *OTHERS):
        tell_failure(logger, proto, source, user, reason)
    tell(logger, "toll-fraud", "sip", ("192.0.2.7", 5060), "alice@example.org", "pace")
    logger.info("registered", account="alice@example.org", source="192.0.2.7")
    written = tmp_path / "log"
    written.write_text(logged.readouterr().err, "utf-8")
    done = subprocess.run(
        ["fail2ban-regex", "--out", "<ip>", str(written), f"{FILTER}[mode={mode}]"],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert done.stdout.split() == ["192.0.2.7"] * found, done.stdout


def test_an_ipv6_source_is_told_in_brackets(logged: pytest.CaptureFixture[str]) -> None:
    tell_failure(log.get_logger("x"), "sip", ("2001:db8::7", 5060), "alice", "wrong-password")
    line = logged.readouterr().err
    assert "auth-failure proto=sip src=[2001:db8::7]:5060 user=alice reason=wrong-password" in line
    parser = configparser.RawConfigParser()
    parser.read(FILTER)
    assert "\\[?<HOST>\\]?" in parser["Definition"]["failregex"]


def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd is not installed")
    unit = tmp_path / "tandem.service"
    unit.write_text(
        (EXAMPLES / "tandem.service").read_text("utf-8").replace("/opt/tandem/.venv/bin/tandem", "/bin/true")
    )
    done = subprocess.run(["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, timeout=60)
    complaints = [line for line in (done.stdout + done.stderr).splitlines() if "tandem.service" in line]
    assert complaints == []
