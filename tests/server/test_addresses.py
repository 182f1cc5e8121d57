"""The machine's own addresses are read from the kernel's tables."""

from __future__ import annotations

from pathlib import Path

from server.addresses import own_addresses, own_names

TRIE = """Main:
  +-- 0.0.0.0/0 3 0 5
     |-- 0.0.0.0
        /0 universe UNICAST
     +-- 10.0.0.0/24 2 0 2
        |-- 10.0.0.7
           /32 host LOCAL
        |-- 10.0.0.255
           /32 link BROADCAST
"""


def test_every_interface_counts(tmp_path: Path) -> None:
    (tmp_path / "fib_trie").write_text(TRIE)
    (tmp_path / "if_inet6").write_text("20010db8000000000000000000000007 02 40 00 80 eth0\n")
    assert own_addresses(tmp_path) == ["10.0.0.7", "2001:db8::7"]


def test_listening_on_all_means_all_of_them() -> None:
    assert "127.0.0.1" in own_names(["0.0.0.0"], "")
    assert own_names(["192.0.2.5"], "198.51.100.1")[-2:] == ["198.51.100.1", "192.0.2.5"]
    assert "0.0.0.0" not in own_names(["0.0.0.0"], "")
