"""How to talk TLS to a backend: whom to trust, what to show (compute-host §2.2, §4.1)."""

import ssl
import tempfile

from host_sim.config.backends import Backend

__all__ = ["context_for"]


def context_for(backend: Backend) -> ssl.SSLContext:
    """Return a context for connections to a backend.

    Without SNI the certificate's issuer is checked but not its name: Python sends the name that it
    checks.

    Raises:
        ssl.SSLError: the certificates of the manifest cannot be used.
    """
    context = ssl.create_default_context(cadata=backend.ca_certificates)
    context.check_hostname = backend.use_sni
    context.set_alpn_protocols(["http/1.1"])
    shown = backend.client_certificate
    if shown is not None:
        with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:  # OpenSSL wants a path
            file.write(f"{shown.certificate}\n{shown.key}\n")
            file.flush()
            context.load_cert_chain(file.name)
    return context
