"""Requests as a listener would make them."""

from grip.headers import Headers
from host_sim.body import Body
from host_sim.messages import Request
from host_sim.trace import Trace

__all__ = ["request"]


def request(
    method: str = "GET",
    target: str = "/",
    headers: tuple[tuple[str, str], ...] = (("Host", "h"),),
    body: bytes | Body = b"",
    *,
    hops: int = 0,
) -> Request:
    """Return a request for authority `h` from nobody in particular."""
    return Request(
        method=method,
        scheme="http",
        authority="h",
        target=target,
        headers=Headers(headers),
        body=Body.of(body) if isinstance(body, bytes) else body,
        client=("192.0.2.1", 1234),
        server=("127.0.0.1", 7676),
        trace=Trace(method=method, target=target),
        hops=hops,
    )
