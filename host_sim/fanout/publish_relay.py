"""The publish endpoint in front of another proxy's: same forms, same key; a `messages.Handler`.

A Pushpin knows `/publish/` only, and no key. What is allowed here goes on to it as it came, and its
answer comes back. Source: GRIP §8.1, §14.
"""

import dataclasses
import logging
from typing import Final

from host_sim.errors import BackendError
from host_sim.fanout.access import RefusedError, authorise
from host_sim.fanout.answers import pass_on, refuse
from host_sim.messages import Downstream, Request, Upstream

__all__ = ["PublishRelay"]

log = logging.getLogger("host_sim.fanout")

_NOT_PASSED_ON: Final = (
    *("authorization", "connection", "expect", "fastly-key", "keep-alive", "te", "trailer"),
    *("upgrade",),
)
_UNREACHABLE = "The publish endpoint of the proxy cannot be reached.\n"


class PublishRelay:
    """Takes publish requests for a proxy in another process."""

    def __init__(self, proxy: Upstream, *, key: str | None = None) -> None:
        """Publish to `proxy` for everybody, or for those who know `key`."""
        self._proxy = proxy
        self._key = key

    async def __call__(self, request: Request, downstream: Downstream) -> None:
        """Answer one request of a publisher."""
        target = request.target
        if (request.method, target) != ("GET", "/"):
            try:
                authorise(request, self._key)
            except RefusedError as refusal:
                refusal.tell(request, downstream)
                return
            target = target if target.startswith("/recover") else "/publish/"
        onward = dataclasses.replace(
            request, target=target, headers=request.headers.without(*_NOT_PASSED_ON)
        )
        try:
            response = await self._proxy.send(onward, "publish")
        except BackendError as error:
            log.error("request %d: %s", request.trace.id, error)
            refuse(downstream, request.trace, 502, _UNREACHABLE)
        else:
            await pass_on(response, downstream, request.trace)
