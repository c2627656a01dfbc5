"""`[local_server.backends.NAME]`: where a backend is and how to talk to it (compute-host §4.1)."""

import dataclasses
import enum
import re
import ssl
import urllib.parse

from host_sim.config.table import InvalidError, Table, read_bytes

__all__ = ["Backend", "ClientCertificate", "Health", "parse_backend"]

_FIELD_VALUE = re.compile(r"[^\x00-\x08\x0a-\x1f\x7f]*")
_PRIVATE_KEY = re.compile(r"-----BEGIN (?:EC |RSA )?PRIVATE KEY-----")
_CERTIFICATE = "-----BEGIN CERTIFICATE-----"
_CA_FORMS = (
    "expected a PEM string, a table with 'file' or 'value', or an array of these for "
    "'ca_certificate'"
)


class Health(enum.Enum):
    """What a guest is told about the health of a backend; nothing ever checks it."""

    UNKNOWN = "unknown"
    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"


@dataclasses.dataclass(frozen=True, slots=True)
class ClientCertificate:
    """What the simulator proves itself with to a backend, both as PEM."""

    certificate: str
    key: str = dataclasses.field(repr=False)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Backend:
    """A backend.

    Attributes:
        url: `http` or `https` (`ws`, `wss` mean the same), with host, maybe port and path.
        override_host: `Host` of every request to it.
        cert_host: name its certificate must have, in place of the URL's host.
        use_sni: whether that name is sent in the TLS handshake.
        grpc: whether it speaks HTTP/2 only.
        health: what a guest is told.
        first_byte_timeout_ms: from the request to the response head; None: any time.
        between_bytes_timeout_ms: for each piece of the response body; None: any time.
        ca_certificates: PEM of whom to trust; None: whom the system trusts.
        client_certificate: what to show.
        tls_min_version, tls_max_version: as TLS numbers them, None for any; not in a manifest.
    """

    url: str
    override_host: str | None = None
    cert_host: str | None = None
    use_sni: bool = True
    grpc: bool = False
    health: Health = Health.UNKNOWN
    first_byte_timeout_ms: int | None = None
    between_bytes_timeout_ms: int | None = None
    ca_certificates: str | None = None
    client_certificate: ClientCertificate | None = None
    tls_min_version: int | None = None
    tls_max_version: int | None = None

    @property
    def _parts(self) -> urllib.parse.SplitResult:
        return urllib.parse.urlsplit(self.url)

    @property
    def is_tls(self) -> bool:
        """Whether it is reached over TLS."""
        return self._parts.scheme in ("https", "wss")

    @property
    def host(self) -> str:
        """Host of the URL, an IPv6 address without brackets."""
        return self._parts.hostname or ""

    @property
    def port(self) -> int:
        """Port of the URL, or the usual one."""
        return self._parts.port or (443 if self.is_tls else 80)

    @property
    def authority(self) -> str:
        """Host and, if it is given, port, as in the URL."""
        return self._parts.netloc

    @property
    def path(self) -> str:
        """Path of the URL without a slash at its end; empty for none."""
        return self._parts.path.rstrip("/")


def parse_backend(definition: object) -> Backend:
    """Return a backend from its TOML table.

    Raises:
        InvalidError: for the reasons of compute-host §4.1.
    """
    table = Table(definition)
    backend = Backend(
        url=_url(table),
        override_host=_override_host(table),
        cert_host=table.string("cert_host"),
        use_sni=table.boolean("use_sni", default=True),
        grpc=table.boolean("grpc", default=False),
        health=_health(table),
        first_byte_timeout_ms=table.milliseconds("first_byte_timeout_ms"),
        between_bytes_timeout_ms=table.milliseconds("between_bytes_timeout_ms"),
        ca_certificates=_ca_certificates(table),
        client_certificate=_client_certificate(table),
    )
    table.finish()
    return backend


def _url(table: Table) -> str:
    url = table.required("url")
    if not isinstance(url, str):
        raise InvalidError("'url' field was not a string")
    try:
        parts = urllib.parse.urlsplit(url)
        _ = parts.port  # parsed only now
    except ValueError as error:
        raise InvalidError(f"invalid url: {error}") from error
    fit = parts.scheme in ("http", "https", "ws", "wss") and parts.hostname
    if not fit or "@" in parts.netloc or not re.fullmatch(r"[\x21-\x7e]+", url):
        raise InvalidError(f"invalid url: expected http(s)://HOST[:PORT][/PATH], got {url!r}")
    return url


def _override_host(table: Table) -> str | None:
    host = table.string("override_host")
    if host is not None and not _FIELD_VALUE.fullmatch(host):
        raise InvalidError(f"invalid override_host: {host!r} has control characters")
    return host


def _health(table: Table) -> Health:
    given = table.take("health")
    if given is None:
        return Health.UNKNOWN
    try:
        return Health(given.lower() if isinstance(given, str) else given)
    except ValueError:
        shown = given if isinstance(given, str) else "not a string"
        expected = "expected 'unknown', 'healthy', or 'unhealthy'"
        raise InvalidError(f"'health' field has invalid value '{shown}' ({expected})") from None


def _ca_certificates(table: Table) -> str | None:
    given = table.take("ca_certificate")
    if given is None:
        return None
    pem = "\n".join(_pem(given))
    try:
        ssl.create_default_context(cadata=pem)
    except (ssl.SSLError, ValueError) as error:
        raise _bad_ca(f"couldn't process certificate: {error}") from error
    return pem


def _bad_ca(reason: str) -> InvalidError:
    return InvalidError(f"'ca_certificate' field was invalid: {reason}")


def _pem(given: object) -> list[str]:
    match given:
        case str() if not given.strip():
            raise InvalidError("'ca_certificate' field is empty")
        case str():
            return [given]
        case list():
            return [pem for item in given for pem in _pem(item)]
        case {"file": str(file), **others} if not others:
            try:
                text = read_bytes(file).decode("utf-8", "replace")
            except InvalidError as error:
                raise _bad_ca(str(error)) from error
            return _pem(text)
        case {"value": str(value), **others} if not others:
            return _pem(value)
        case _:
            raise _bad_ca(_CA_FORMS)


def _client_certificate(table: Table) -> ClientCertificate | None:
    given = table.take("client_certificate")
    if given is None:
        return None
    own = Table(given, "expected a table for 'client_certificate'")
    certificate, key = _given_or_read(own, "certificate"), _given_or_read(own, "key")
    own.ignore_rest("client_certificate")
    if _CERTIFICATE not in certificate:
        raise InvalidError("no certificates found in 'client_certificate'")
    keys = len(_PRIVATE_KEY.findall(key))
    if keys != 1:
        raise InvalidError(f"expected one private key in 'client_certificate', found {keys}")
    return ClientCertificate(certificate, key)


def _given_or_read(table: Table, key: str) -> str:
    text, file = table.string(key), table.string(f"{key}_file")
    if file is not None:
        return read_bytes(file).decode("utf-8", "replace")
    if text is None:
        raise InvalidError(f"missing '{key}' or '{key}_file' in 'client_certificate'")
    return text
