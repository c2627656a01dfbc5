"""The service as it is, except that a sandbox serves one request; and a clock for ES256.

What is measured without reuse, on every host alike, is this component.
"""

# First of all, because it readies the interpreter for PyJWT.
from guest import app, bindings  # isort: skip

import base64
import json
import time

from wit_world.imports.async_io import Pollable as Body
from wit_world.imports.http_req import Request as RequestHandle

from grip.signature import FASTLY_FANOUT_KEY
from guest.es256 import ES256
from guest.messages import text

# A token of Fastly's own; it expired long ago, but its signature holds.
SIGNED = b"eyJ0eXAiOiJKV1QiLCJhbGciOiJFUzI1NiJ9.eyJleHAiOjE2NzUzNjU0MjgsImlzcyI6ImZhc3RseSJ9"
SIGNATURE = base64.urlsafe_b64decode(
    "QL2Pm1JnXV_vAYK7ijeD4U1CBjOTLihNMDZ-qfvjkKOTUiK1jyxGEwjZfeApijRaOtQT8fVkdPnKjF-tBiUzkA=="
)


class HttpIncoming(app.HttpIncoming):
    """The service; the name is the one the platform looks for."""

    def handle(self, request: RequestHandle, body: Body) -> None:
        """Serve one request."""
        with request, body:
            asked = bindings.Request(request, body)
            if asked.path == "/es256":
                asked.respond(text(200, json.dumps([verification_ms() for _ in range(20)])))
            else:
                self.serve(asked)


def verification_ms() -> float:
    """Return how long it takes to verify a signature."""
    start = time.perf_counter()
    assert ES256().verify(SIGNED, str(FASTLY_FANOUT_KEY.material), SIGNATURE)
    return (time.perf_counter() - start) * 1000
