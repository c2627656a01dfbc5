"""Hands clients off to a GRIP proxy of its own, over HTTP, as Viceroy does.

The proxy hears the name of the backend in `Pushpin-Route`, and its own address as `Host`; the rest
is what the hand-off made of the request. Nothing is asked twice and nothing times out here.
Source: compute-host §3.2, §3.3.
"""

import dataclasses
import logging
from http import HTTPStatus

from host_sim.edge.passing import pass_through
from host_sim.edge.upstream import HttpSender
from host_sim.messages import Address, Downstream, Request, Response

__all__ = ["HttpHandoff"]

steps = logging.getLogger("host_sim.steps")


class HttpHandoff:
    """Implements `messages.HandoffTarget` for a proxy in another process."""

    def __init__(self, client: HttpSender, proxy: Address) -> None:
        """Hand off to the proxy that listens at an address."""
        self._client = client
        self._host, self._port = proxy

    async def take(self, request: Request, backend: str, downstream: Downstream) -> None:
        """Pass the client through to the proxy; returns when its answer has ended."""
        await pass_through(self._ask(request, backend), request, downstream, to="Pushpin")

    async def _ask(self, request: Request, backend: str) -> Response:
        host = f"[{self._host}]" if ":" in self._host else self._host
        headers = request.headers.replaced("Host", f"{host}:{self._port}")
        headers = headers.replaced("Pushpin-Route", backend)
        response = await self._client.send(
            dataclasses.replace(request, headers=headers),
            backend=backend,
            host=self._host,
            port=self._port,
        )
        steps.debug(
            "Handoff target 'Pushpin [%s]' responded with status: %s. Proxying response.",
            backend,
            _named(response.status),
            extra={"request_id": request.trace.id},
        )
        # What is held may last for hours: its story is told now.
        request.trace.status = response.status
        request.trace.emit()
        return response


def _named(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)
