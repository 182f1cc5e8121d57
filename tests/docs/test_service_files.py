"""The fail2ban filter fits the lines that the server writes; the systemd unit is one."""

from __future__ import annotations

import configparser
import re
import shutil
import subprocess
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
FILTER = EXAMPLES / "fail2ban" / "tandem.conf"
PLAIN = "2026-11-23 04:58:19 [warning  ] {} [pbx.policy]"
JSON = '{{"event": "{}", "logger": "pbx.policy", "level": "warning", "timestamp": "2026-11-23 04:58:19"}}'


@pytest.mark.parametrize("form", [PLAIN, JSON], ids=["plain", "json"])
def test_the_filter_finds_the_source(form: str, tmp_path: Path) -> None:
    if shutil.which("fail2ban-regex") is None:
        pytest.skip("fail2ban is not installed")
    event = "auth-failure proto=sip src=192.0.2.7:40656 user=alice reason=wrong-password"
    log = tmp_path / "log"
    log.write_text(form.format(event) + "\n" + PLAIN.format("registered") + "\n", "utf-8")
    done = subprocess.run(
        ["fail2ban-regex", str(log), str(FILTER)], capture_output=True, text=True, timeout=60, check=True
    )
    assert "1 matched" in done.stdout, done.stdout
    assert "1 missed" in done.stdout, done.stdout


def test_the_filter_fits_what_the_policy_writes() -> None:
    parser = configparser.RawConfigParser()
    parser.read(FILTER)
    source = Path(__file__).resolve().parents[2] / "pbx" / "policy" / "policy.py"
    template = re.search(r'_log\.warning\(f"(auth-failure [^"]+)"\)', source.read_text("utf-8"))
    assert template is not None
    line = re.sub(r"\{[^}]*host[^}]*\}", "192.0.2.7", template[1])
    line = re.sub(r"\{[^}]*port[^}]*\}", "5060", line)
    line = re.sub(r"\{[^}]*\}", "word", line)
    pattern = parser["Definition"]["failregex"].replace("<HOST>", r"(?P<host>[0-9.]+)")
    found = re.search(pattern, line)
    assert found is not None
    assert found["host"] == "192.0.2.7"


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
