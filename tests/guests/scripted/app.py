"""A guest that runs the script its request carries, so that each test can say what its guest does.

The script is Python source in the request header `x-script`, as base64. It finds the request in
`request` and `body`, the platform's interfaces under their names, and the helpers below. Everything
has to be imported here, at build time.
"""

# ruff: noqa: F401 - the scripts use what is imported here
import base64
import gc
import json
import os
import random
import sys
import time

from componentize_py_types import Err
from wit_world.exports import HttpIncoming as Handler
from wit_world.imports import (
    acl,
    async_io,
    backend,
    cache,
    compute_runtime,
    config_store,
    device_detection,
    dictionary,
    erl,
    geo,
    http_body,
    http_cache,
    http_downstream,
    http_req,
    http_resp,
    http_types,
    image_optimizer,
    kv_store,
    log,
    purge,
    secret_store,
    security,
    shielding,
    types,
)

MAX = 1 << 20


def answer(content=b"", status=200, headers=()):
    """Send a response; what is not bytes goes as JSON."""
    response, new = http_resp.Response.new(), http_body.new()
    response.set_status(status)
    for name, value in headers:
        response.append_header(name, value.encode() if isinstance(value, str) else value)
    http_body.write(new, content if isinstance(content, bytes) else json.dumps(content).encode())
    http_resp.send_downstream(response, new)


def failure(function, *arguments):
    """Return the error of a call as the names of its classes and its value, None if it worked."""
    try:
        function(*arguments)
    except Err as error:
        return described(error.value)
    return None


def described(value):
    """Return an error as something JSON can say."""
    name = type(value).__name__.rpartition("_")[2]
    if isinstance(value, http_req.ErrorWithDetail):
        return [described(value.error), value.detail and described(value.detail)]
    if isinstance(value, types.OpenError | acl.AclError):
        return value.name
    if hasattr(value, "value"):
        inner = value.value
        return [name, inner if isinstance(inner, int) else described(inner)]
    return name


def read_all(source, size=65536):
    """Read a body to its end."""
    pieces = []
    while piece := http_body.read(source, size):
        pieces.append(piece)
    return b"".join(pieces)


def written(content):
    """Return a new body with content."""
    new = http_body.new()
    http_body.write(new, content)
    return new


def headers_of(message):
    """Return the fields of a message as pairs, in order."""
    names, cursor = [], 0
    while cursor is not None:
        text, cursor = message.get_header_names(MAX, cursor)
        names += text.split("\0")[:-1]
    pairs = []
    for name in names:
        values, _ = message.get_header_values(name, MAX, 0)
        pairs += [[name, value.decode("latin-1")] for value in values.split(b"\0")[:-1]]
    return pairs


class HttpIncoming(Handler):
    """Runs the script."""

    def handle(self, request, body):
        """Run it with everything in this module in sight."""
        script = base64.b64decode(request.get_header_value("x-script", 1 << 20))
        exec(compile(script, "<script>", "exec"), {**globals(), "request": request, "body": body})
