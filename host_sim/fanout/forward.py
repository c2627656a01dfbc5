"""Requests on their way to a backend: cleaned of what a client may not say, signed, and bounded.

Every request of the proxy passes here, the repeated ones, those for links and those of
WebSocket-over-HTTP too. Source: GRIP §2.1 (what the origin receives), §2.2 (`Grip-Sig`);
RFC 9110 §7.6.1 (fields of the connection).
"""

import asyncio
import dataclasses
from collections.abc import Callable
from typing import Final

from grip.headers import Headers, Pair
from host_sim.body import Body
from host_sim.errors import BackendError, BackendFault
from host_sim.messages import Request, Response, Upstream

__all__ = ["DEFAULT_FORWARDED", "FEATURES", "TIMEOUT_S", "Forwarded", "Forwarder", "Sign"]

FEATURES: Final = ", ".join(
    (
        "status",
        "session",
        "link:next",
        "link:gone",
        "filter:skip-self",
        "filter:skip-users",
        "filter:require-sub",
        "filter:build-id",
        "filter:var-subst",
    )
)
"""Value of `Grip-Feature`."""

TIMEOUT_S = 600.0
"""How long a backend may take to answer."""

type Sign = Callable[[], str]
"""Makes the value of a `Grip-Sig`, afresh for each request."""

# Framing and connection fields (RFC 9110 §7.6.1) do not survive a hop; without `Accept-Encoding`
# no backend compresses what published content is to be appended to.
_NOT_FORWARDED: Final = frozenset(
    {
        "accept-encoding",
        "connection",
        "expect",
        "keep-alive",
        "proxy-connection",
        "pushpin-route",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "x-forwarded-proto",  # what a client says of its own connection is worth nothing
        "x-forwarded-protocol",
    }
)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Forwarded:
    """What backends are told about clients, after Pushpin's settings of these names (§2.1).

    Attributes:
        proto: whether TLS is told in `X-Forwarded-Proto`.
        protocol: whether it is told in `X-Forwarded-Protocol`.
        append: whether the client's address is put at the end of `X-Forwarded-For`.
        kept: how many of the addresses that came are left there, the last ones; None for all.
    """

    proto: bool = True
    protocol: bool = False
    append: bool = False
    kept: int | None = None

    def told(self, headers: Headers, request: Request) -> Headers:
        """Return the fields of a client's request with what is told about the client."""
        if self.append or self.kept is not None:
            came = headers.get("X-Forwarded-For")
            addresses = [] if came is None else [part.strip() for part in came.split(",")]
            if self.kept is not None:
                addresses = addresses[max(0, len(addresses) - self.kept) :]
            if self.append and request.client is not None:
                addresses.append(request.client[0])
            headers = headers.without("X-Forwarded-For")
            if addresses:
                headers = headers.plus(("X-Forwarded-For", ", ".join(addresses)))
        if request.scheme == "https" and self.proto:
            headers = headers.plus(("X-Forwarded-Proto", "https"))
        if request.scheme == "https" and self.protocol:
            headers = headers.plus(("X-Forwarded-Protocol", "https"))
        return headers


DEFAULT_FORWARDED: Final = Forwarded()


class Forwarder:
    """Sends requests to backends in the name of the proxy."""

    def __init__(
        self,
        upstream: Upstream,
        sign: Sign,
        *,
        timeout_s: float | None = TIMEOUT_S,
        forwarded: Forwarded = DEFAULT_FORWARDED,
    ) -> None:
        """Reach backends through `upstream`, which must answer within `timeout_s` seconds.

        They hear of clients what `forwarded` says.
        """
        self._forwarded = forwarded
        self._upstream = upstream
        self._sign = sign
        self.timeout_s: Final = timeout_s

    @staticmethod
    def clean(headers: Headers, *, trusted: bool = False) -> Headers:
        """Return a client's fields less those a backend must not see (§2.1).

        Gone are all `Grip-*`, so that a client can neither sign nor instruct, unless it is a
        `trusted` proxy; and the fields of the connection, also those it nominates (RFC 9110
        §7.6.1).
        """
        nominated = {
            name.strip().lower()
            for value in headers.get_all("Connection")
            for name in value.split(",")
        } - {"host", "content-length"}
        cleaned: list[Pair] = []
        forwarded_for: list[str] = []
        for field in headers:
            name = field[0].lower()
            if name == "x-forwarded-for":
                forwarded_for.append(field[1])
            elif (
                name not in _NOT_FORWARDED
                and name not in nominated
                and (trusted or not name.startswith("grip-"))
            ):
                cleaned.append(field)
        if forwarded_for:
            cleaned.append(("X-Forwarded-For", ", ".join(forwarded_for)))
        return Headers(cleaned)

    async def send(
        self,
        request: Request,
        backend: str,
        *,
        method: str | None = None,
        target: str | None = None,
        headers: Headers | None = None,
        body: Body | None = None,
    ) -> Response:
        """Send a client's request to `backend`, or another one on its behalf.

        What is not given is the client's own: `headers` are `clean(request.headers)` then, `body`
        what is left to read of it. The signature and the other fields of the proxy are added.
        The request belongs to the same trace and is one hop further on.

        Raises:
            BackendError: there is no response head, or none in time.
        """
        cleaned = self.clean(request.headers) if headers is None else headers
        signed = cleaned.plus(("Grip-Sig", self._sign()), ("Grip-Feature", FEATURES))
        # Trailers stay behind: they are not cleaned, and a backend may take them for headers.
        sent = dataclasses.replace(
            request,
            method=request.method if method is None else method,
            target=request.target if target is None else target,
            headers=self._forwarded.told(signed, request),
            body=(request.body if body is None else body).bare(),
            hops=request.hops + 1,
        )
        return await self._send(sent, backend)

    async def relay(self, request: Request, backend: str) -> Response:
        """Send the request of a trusted proxy, which has signed it and will obey the reply (§2.1).

        Raises:
            BackendError: there is no response head, or none in time.
        """
        headers = self.clean(request.headers, trusted=True)
        sent = dataclasses.replace(
            request, headers=headers, body=request.body.bare(), hops=request.hops + 1
        )
        return await self._send(sent, backend)

    async def _send(self, sent: Request, backend: str) -> Response:
        try:
            async with asyncio.timeout(self.timeout_s):
                return await self._upstream.send(sent, backend)
        except TimeoutError:
            detail = f"no response head within {self.timeout_s:g} s"
            raise BackendError(backend, BackendFault.TIMEOUT, detail) from None
