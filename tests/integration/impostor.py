"""Somebody who stands between us and the server, and keeps what he is sent."""

import contextlib
import socket
import ssl
import threading
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import chain, repeat

import trustme
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from tests.faults.tls import SSL_REQUEST

Speech = Callable[[socket.socket, bool], ssl.SSLSocket | None]
"""What an impostor does with a client, who has asked for TLS or not; returns the encrypted connection, if any."""
HANDSHAKE_FAILURE = bytes([21, 3, 3, 0, 2, 2, 40])
"""A fatal alert."""
CLIENT_HELLO = b"\x16"
"""The first byte of who begins with TLS at once."""


@dataclass
class Impostor:
    """Listens, speaks as it was told to, and keeps what it was sent: in clear, and what it could decrypt."""

    speech: Speech
    clear: bytearray = field(default_factory=bytearray)
    decrypted: bytearray = field(default_factory=bytearray)
    met: int = 0
    """How many connections there were."""

    @contextlib.contextmanager
    def listening(self) -> Iterator[int]:
        """Serve until the end of the block; yield the port."""
        with socket.create_server(("127.0.0.1", 0)) as listener:
            thread = threading.Thread(target=self._serve, args=(listener,), daemon=True)
            thread.start()
            yield listener.getsockname()[1]
            listener.shutdown(socket.SHUT_RDWR)
        thread.join(10)

    def _serve(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = listener.accept()
                self.met += 1
                self._meet(client)

    def _meet(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError), client:
            client.settimeout(5)
            asks = client.recv(1, socket.MSG_PEEK) != CLIENT_HELLO
            self.clear += client.recv(len(SSL_REQUEST), socket.MSG_WAITALL) if asks else b""
            if secure := self.speech(client, asks):
                with secure:
                    self.decrypted += secure.recv(4096)
            while chunk := client.recv(4096):
                self.clear += chunk


def says(answer: bytes) -> Speech:
    """Return the speech of one who answers the SSLRequest with this, and listens."""

    def speak(client: socket.socket, _asks: bool) -> None:  # noqa: FBT001 - a Speech
        client.sendall(answer)

    return speak


def refuses(client: socket.socket, asks: bool) -> None:  # noqa: FBT001 - a Speech
    """Say that nothing of what was offered will do: https://www.rfc-editor.org/rfc/rfc8446#section-6."""
    client.sendall(b"S" * asks + HANDSHAKE_FAILURE)


def refuses_first(speech: Speech) -> Speech:
    """Return the speech of one who refuses one handshake, and goes on as `speech` with whoever comes back."""
    speeches = chain([refuses], repeat(speech))

    def speak(client: socket.socket, asks: bool) -> ssl.SSLSocket | None:  # noqa: FBT001 - as above
        return next(speeches)(client, asks)

    return speak


def shakes_hands(context: ssl.SSLContext, first: bytes = b"S") -> Speech:
    """Return the speech of one who answers `first` and goes on in TLS; nobody who was not asked says S."""

    def speak(client: socket.socket, asks: bool) -> ssl.SSLSocket:  # noqa: FBT001 - as above
        client.sendall(first if asks else first[1:])
        return context.wrap_socket(client.dup(), server_side=True)

    return speak


def server_context(certificate: trustme.LeafCert, newest: str = "TLSv1_3") -> ssl.SSLContext:
    """Return the context of a server that shows this certificate and speaks no newer TLS than this."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # that they are deprecated is the point
        if newest in {"TLSv1", "TLSv1_1"}:
            context.set_ciphers("ALL:@SECLEVEL=0")
            context.minimum_version = ssl.TLSVersion[newest]
        context.maximum_version = ssl.TLSVersion[newest]
    return context


def without_alternative_names(authority: trustme.CA, common_name: str) -> trustme.LeafCert:
    """Return a certificate that says whose it is in its subject only; trustme's say it as they should."""
    issuer = x509.load_pem_x509_certificate(authority.cert_pem.bytes())
    signer, private = load_pem_private_key(authority.private_key_pem.bytes(), None), generate_private_key(SECP256R1())
    builder = x509.CertificateBuilder(issuer_name=issuer.subject, public_key=private.public_key())
    builder = builder.subject_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, common_name)]))
    builder = builder.serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(issuer.not_valid_before_utc).not_valid_after(issuer.not_valid_after_utc)
    signed = builder.sign(signer, SHA256())  # type: ignore[arg-type]  # trustme's key is one that signs
    key = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return trustme.LeafCert(key, signed.public_bytes(Encoding.PEM), [])
