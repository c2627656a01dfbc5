"""The smallest service there can be: what a component costs before it does anything."""

from wit_world.exports import HttpIncoming as Incoming
from wit_world.imports import http_body
from wit_world.imports.async_io import Pollable as Body
from wit_world.imports.http_req import Request
from wit_world.imports.http_resp import Response, send_downstream


class HttpIncoming(Incoming):
    """The service; the name is the one the platform looks for."""

    def handle(self, request: Request, body: Body) -> None:  # noqa: ARG002  it says the same to all
        """Say hello."""
        content = http_body.new()
        http_body.write(content, b"hello\n")
        send_downstream(Response.new(), content)
