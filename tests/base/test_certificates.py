"""Certificates: made, read, chosen by name, changed; each handshake here is a real one, in memory."""

from __future__ import annotations

import shutil
import ssl
import time
from pathlib import Path

import pytest
from cryptography import x509

from base.certificates import CERTIFICATE, KEY, Certificates, client_context, make
from base.failures import Failure


def shown_to(context: ssl.SSLContext, name: str | None) -> x509.Certificate:
    """Shake hands, asking for a name; what was shown."""
    client_side = client_context(verify=False)
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = client_side.wrap_bio(to_client, to_server, server_hostname=name)
    server = context.wrap_bio(to_server, to_client, server_side=True)
    for _ in range(4):
        for side in (client, server):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                pass
    octets = client.getpeercert(binary_form=True)
    assert octets is not None
    return x509.load_der_x509_certificate(octets)


def names(certificate: x509.Certificate) -> list[str]:
    return certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value.get_values_for_type(
        x509.DNSName
    )


def test_one_is_made_at_the_first_start_and_kept(tmp_path: Path) -> None:
    first = Certificates(tmp_path / "tls", ["pbx.example.org", "127.0.0.1"], time.time)
    again = Certificates(tmp_path / "tls", ["other.example.org"], time.time)

    assert first.shown[0].names == again.shown[0].names == ("pbx.example.org", "127.0.0.1")
    assert (tmp_path / "tls" / KEY).stat().st_mode & 0o777 == 0o600
    assert names(shown_to(first.context, None)) == ["pbx.example.org"]


def test_the_name_asked_for_decides(tmp_path: Path) -> None:
    tls = tmp_path / "tls"
    make(tls / "a", ["a.example.org"], time.time())
    make(tls / "wild", ["*.b.example.org"], time.time())
    (tls / "wild" / CERTIFICATE).rename(tls / "wild" / "fullchain.pem")
    (tls / "wild" / KEY).rename(tls / "wild" / "privkey.pem")
    context = Certificates(tls, ["main.example.org"], time.time).context

    assert names(shown_to(context, "A.example.org")) == ["a.example.org"]
    assert names(shown_to(context, "x.b.example.org")) == ["*.b.example.org"]
    for other in ("main.example.org", "x.y.b.example.org", "b.example.org", None):
        assert names(shown_to(context, other)) == ["main.example.org"]


def test_a_swap_is_noticed_and_shown_from_the_next_handshake_on(tmp_path: Path) -> None:
    tls = tmp_path / "tls"
    certificates = Certificates(tls, ["old.example.org"], time.time)
    assert not certificates.changed()

    make(tls, ["new.example.org"], time.time())
    assert certificates.changed()
    assert names(shown_to(certificates.context, None)) == ["old.example.org"]
    certificates.reload()
    assert not certificates.changed()
    assert names(shown_to(certificates.context, None)) == ["new.example.org"]


def test_a_pair_that_does_not_match_is_refused_and_the_old_stays(tmp_path: Path) -> None:
    tls = tmp_path / "tls"
    certificates = Certificates(tls, ["old.example.org"], time.time)
    make(tmp_path / "other", ["other.example.org"], time.time())
    shutil.copy(tmp_path / "other" / CERTIFICATE, tls / CERTIFICATE)

    for _ in range(2):
        with pytest.raises(Failure, match="cannot be used"):
            certificates.reload()
    assert names(shown_to(certificates.context, None)) == ["old.example.org"]
    assert certificates.changed()


def test_an_expired_one_of_our_own_is_made_anew(tmp_path: Path) -> None:
    make(tmp_path / "tls", ["old.example.org"], 1.0e9)

    assert Certificates(tmp_path / "tls", ["new.example.org"], time.time).shown[0].names == ("new.example.org",)


def test_without_verification_anybody_is_taken() -> None:
    assert client_context(verify=True).verify_mode is ssl.CERT_REQUIRED
    assert client_context(verify=False).verify_mode is ssl.CERT_NONE
    with pytest.raises(OSError):
        client_context(verify=True, authorities="/nowhere.pem")
