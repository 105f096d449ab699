"""How the server proves who it is: one verifying context a process."""

import ssl

from db.settings import DatabaseSettings, Tls


def client_context(settings: DatabaseSettings) -> ssl.SSLContext | None:
    """Return a context that verifies certificate and host name; None for plaintext, on this machine only."""
    if settings.tls is Tls.INSECURE_LOCAL_ONLY:
        return None
    context = ssl.create_default_context(cafile=settings.tls_ca_file)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
