"""The DTLS handshake of one stream, which yields its SRTP keys. A machine around OpenSSL's memory buffers.

Certificates are self-signed; who the peer is says the fingerprint in its session description. Nothing is ever sent
over DTLS but the handshake. Not here: sockets and time (`tick` is called each second). RFC 5763, RFC 5764, RFC 6347.
"""

from __future__ import annotations

import datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from OpenSSL import SSL

from pbx.mediaproxy.engine import DtlsPeer, SrtpKeys
from pbx.mediaproxy.srtp import SUITES, Suite

# Limit: datagrams that a handshake may take, repeats included; a sound one needs about six.
_MOST_DATAGRAMS = 100
_LONGEST = 1200
_RECORD_HEADER = 13
_HASHES: dict[str, type[hashes.SHA256] | type[hashes.SHA384] | type[hashes.SHA512]] = {
    "sha-256": hashes.SHA256,
    "sha-384": hashes.SHA384,
    "sha-512": hashes.SHA512,
}
_CIPHERS = (
    b"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:"
    b"ECDHE-RSA-AES128-GCM-SHA256:ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-AES128-SHA:ECDHE-RSA-AES128-SHA"
)
# RFC 5764 §4.1.2, RFC 7714 §14.2. The order is ours as server, and our wish as client.
_PROFILES = ("AEAD_AES_128_GCM", "AES_CM_128_HMAC_SHA1_80", "AEAD_AES_256_GCM", "AES_CM_128_HMAC_SHA1_32")


class Identity:
    """A key and certificate of our own, made anew for each worker process and never written down."""

    def __init__(self) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "media")])
        serial = x509.random_serial_number()
        # What counts is the fingerprint; the dates only have to please strict stacks.
        begin = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(serial)
            .not_valid_before(begin)
            .not_valid_after(begin + datetime.timedelta(days=40 * 365))
            .sign(key, hashes.SHA256())
        )
        self.fingerprint = f"sha-256 {_digest(certificate, 'sha-256')}"
        context = SSL.Context(SSL.DTLS_METHOD)
        context.set_options(SSL.OP_NO_TICKET | SSL.OP_NO_QUERY_MTU)
        # RFC 5763 §5: both show a certificate; its fingerprint is checked when the handshake is done.
        context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, lambda *_: True)
        context.use_certificate(certificate)
        context.use_privatekey(key)
        context.set_cipher_list(_CIPHERS)
        context.set_tlsext_use_srtp(":".join(SUITES[name].dtls for name in _PROFILES).encode())
        self.context = context


def _digest(certificate: x509.Certificate, algorithm: str) -> str:
    return certificate.fingerprint(_HASHES[algorithm]()).hex(":").upper()


class Handshake:
    """One handshake. `keys` is set when it is done, `failed` says why it never will be."""

    def __init__(self, identity: Identity, peer: DtlsPeer) -> None:
        self.peer = peer
        self.keys: SrtpKeys | None = None
        self.failed = ""
        self._datagrams = 0
        self._connection = SSL.Connection(identity.context, None)
        self._connection.set_ciphertext_mtu(_LONGEST)
        if peer.client:
            self._connection.set_connect_state()
        else:
            self._connection.set_accept_state()

    def begin(self) -> list[bytes]:
        """What to send at first: our hello when we are the client."""
        return self._go_on() if self.peer.client else []

    def receive(self, datagram: bytes) -> list[bytes]:
        """A datagram of the peer has come; returns what to send."""
        self._datagrams += 1
        if self.failed or self._datagrams > _MOST_DATAGRAMS:
            self.failed = self.failed or "too many datagrams"
            return []
        self._connection.bio_write(datagram)
        return self._go_on()

    def tick(self) -> list[bytes]:
        """Time passes: OpenSSL repeats a flight whose answer is overdue (RFC 6347 §4.2.4)."""
        if self.failed or self.keys is not None:
            return []
        try:
            left = self._connection.DTLSv1_get_timeout()
            if left is not None and left <= 0:
                self._connection.DTLSv1_handle_timeout()
        except SSL.Error as error:
            self.failed = f"handshake: {_reason(error)}"
        return self._waiting()

    def _go_on(self) -> list[bytes]:
        try:
            if self.keys is None:
                self._connection.do_handshake()
                self._done()
            else:  # the peer repeats its last flight because ours was lost: OpenSSL answers while it reads
                self._connection.recv(2048)
        except SSL.WantReadError:
            pass
        except SSL.ZeroReturnError:
            pass
        except SSL.Error as error:
            if self.keys is None:
                self.failed = f"handshake: {_reason(error)}"
        return self._waiting()

    def _done(self) -> None:
        """RFC 5763 §5: the certificate must be the one that signalling named; RFC 5764 §4.2 for the keys."""
        certificate = self._connection.get_peer_certificate(as_cryptography=True)
        said = [(name, value) for name, value in self.peer.fingerprints if name in _HASHES]
        if certificate is None or not said or any(_digest(certificate, name) != value for name, value in said):
            self.failed = "the fingerprint is not the one in the session description"
            return
        profile = self._connection.get_selected_srtp_profile().decode()
        name = next((each for each in _PROFILES if SUITES[each].dtls == profile), None)
        if name is None:
            self.failed = "no SRTP profile"
            return
        suite = SUITES[name]
        secret = self._connection.export_keying_material(b"EXTRACTOR-dtls_srtp", 2 * suite.octets)
        client, server = _keys(secret, suite)
        send, receive = (client, server) if self.peer.client else (server, client)
        self.keys = SrtpKeys(name, send, receive)

    def _waiting(self) -> list[bytes]:
        """What OpenSSL has written, cut at records into datagrams."""
        written = b""
        try:
            while True:
                written += self._connection.bio_read(1 << 16)
        except SSL.Error:
            pass
        return _datagrams(written)


def _keys(secret: bytes, suite: Suite) -> tuple[bytes, bytes]:
    """Client's and server's master key and salt (RFC 5764 §4.2)."""
    key, salt = suite.key, suite.salt
    salts = secret[2 * key :]
    return secret[:key] + salts[:salt], secret[key : 2 * key] + salts[salt : 2 * salt]


def _datagrams(written: bytes) -> list[bytes]:
    """
    |type 1|version 2|epoch 2|sequence 6|length 2| fragment … |      RFC 6347 §4.1
    """
    packed: list[bytes] = []
    at = 0
    while at + _RECORD_HEADER <= len(written):
        end = at + _RECORD_HEADER + int.from_bytes(written[at + 11 : at + 13], "big")
        if packed and len(packed[-1]) + end - at <= _LONGEST:
            packed[-1] += written[at:end]
        else:
            packed.append(written[at:end])
        at = end
    return packed


def _reason(error: SSL.Error) -> str:
    details = error.args[0] if error.args else ()
    return str(details[0][-1]) if isinstance(details, list) and details else type(error).__name__
