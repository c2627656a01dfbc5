"""How to talk TLS to a backend: whom to trust, what to show (compute-host §2.2, §4.1)."""

import contextlib
import ipaddress
import ssl
import tempfile
from collections.abc import Sequence
from typing import Any

from host_sim.config.backends import Backend

__all__ = ["context_for", "name_fits"]


def context_for(backend: Backend) -> ssl.SSLContext:
    """Return a context for connections to a backend.

    Raises:
        ssl.SSLError: the certificates or the versions of TLS cannot be used.
    """
    context = ssl.create_default_context(cadata=backend.ca_certificates)
    context.set_alpn_protocols(["h2" if backend.grpc else "http/1.1"])
    _bound_versions(context, backend)
    if not backend.use_sni:
        context.check_hostname = False  # Python sends the name that it checks
        context.sslobject_class = _checking(backend.cert_host or backend.host)
    shown = backend.client_certificate
    if shown is not None:
        with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:  # OpenSSL wants a path
            file.write(f"{shown.certificate}\n{shown.key}\n")
            file.flush()
            context.load_cert_chain(file.name)
    return context


def _bound_versions(context: ssl.SSLContext, backend: Backend) -> None:
    """Allow what the backend wants of the versions that are safe: 1.2 and 1.3."""
    least, most = backend.tls_min_version, backend.tls_max_version
    safe = ssl.TLSVersion.TLSv1_2
    if most is not None and most < max(safe, least or safe):
        raise ssl.SSLError("no version of TLS from 1.2 on is allowed")
    if least is not None and least > safe:
        context.minimum_version = ssl.TLSVersion(least)
    if most is not None:
        context.maximum_version = ssl.TLSVersion(most)


def _checking(name: str) -> type[ssl.SSLObject]:
    """Return a kind of connection that checks its peer's name without having sent it."""

    class Checking(ssl.SSLObject):
        """A connection whose handshake fails where the certificate is for another name."""

        def do_handshake(self) -> None:
            super().do_handshake()
            certificate: Any = self.getpeercert() or {}
            if not name_fits(name, certificate.get("subjectAltName", ())):
                raise ssl.SSLCertVerificationError(f"the certificate is not for {name!r}")

    return Checking


def name_fits(name: str, names: Sequence[tuple[str, str]]) -> bool:
    """Tell whether a host is one of a certificate's names, as `ssl` returns them (RFC 9525 §6)."""
    with contextlib.suppress(ValueError):
        address = ipaddress.ip_address(name)
        return any(kind == "IP Address" and _address(given) == address for kind, given in names)
    wanted = name.lower().rstrip(".")
    _, _, parent = wanted.partition(".")
    fitting = {wanted, f"*.{parent}"} if "." in parent else {wanted}  # a `*` is a whole label
    return any(kind == "DNS" and given.lower() in fitting for kind, given in names)


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text.strip())
    except ValueError:
        return None
