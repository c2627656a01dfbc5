"""The platform in the service's own words; the one importer of the generated `wit_world`.

Decides nothing. What a hostcall promises and fails with stands in `wit/world.wit`. A failure nobody
planned for ends the sandbox: the platform answers 500 and logs the traceback.
"""

import sys
from collections.abc import Callable
from functools import cache, cached_property, partial

from componentize_py_types import Err
from wit_world.exports import HttpIncoming
from wit_world.imports import compute_runtime, config_store, http_body, http_downstream
from wit_world.imports.async_io import Pollable as Body
from wit_world.imports.backend import Backend
from wit_world.imports.http_req import Request as RequestHandle
from wit_world.imports.http_resp import Response as ResponseHandle
from wit_world.imports.http_resp import send_downstream
from wit_world.imports.types import Error_BufferLen, OpenError

from grip.headers import Headers
from guest.messages import Response, SetupError, path_of

__all__ = [
    "Request",
    "Service",
    "config",
    "has_backend",
    "log",
    "service_id",
    "wipe_free_memory",
]

NO_OPTIONS = http_downstream.NextRequestOptions(timeout_ms=None, extra=None)
DEFAULT_STATUS = 200  # of a response that is not told another
FIRST_BUFFER = 4096  # bytes; enough for nearly every value, so that few are asked for twice
READ_CHUNK = 65536  # bytes; the host reserves as many for each read


class Request:
    """One request, of a client or of Fanout.

    Each property is asked of the host when it is first used.
    """

    def __init__(self, handle: RequestHandle, body: Body) -> None:
        self._handle = handle
        self._body = body

    @cached_property
    def method(self) -> str:
        """The method as the client wrote it."""
        return sized(self._handle.get_method)

    @cached_property
    def uri(self) -> str:
        """The absolute URI; path and query as the client wrote them."""
        return sized(self._handle.get_uri)

    @property
    def path(self) -> str:
        """The path of the URI as the client wrote it, without the query."""
        return path_of(self.uri)

    @cached_property
    def headers(self) -> Headers:
        """All fields: names in lower case, repeated ones repeated, values with all their bytes."""
        names = nul_list(self._header_names)
        return Headers.from_wire((name, value) for name in names for value in self._values(name))

    def values(self, name: str) -> list[str]:
        """Return the values of one field, without reading the others."""
        fields = Headers.from_wire((b"", value) for value in self._values(name.encode()))
        return [value for _, value in fields]

    def body(self) -> bytes:
        """Read the body to its end; a second call finds nothing."""
        return b"".join(iter(partial(http_body.read, self._body, READ_CHUNK), b""))

    def handoff_fanout(self, backend: str) -> None:
        """Give the client to Fanout, which asks `backend` what to do with it.

        This is the answer: no response may be sent before or after.

        Raises:
            SetupError: the service has no such backend, or no Fanout.
        """
        opened = backend_named(backend)
        if opened is None:
            raise SetupError(f"expected a backend named {backend!r}, the service has none")
        try:
            self._handle.redirect_to_grip_proxy(opened)
        except Err as error:
            raise SetupError(f"expected Fanout to be enabled, got {error.value}") from error

    def respond(self, response: Response) -> None:
        """Send the response."""
        handle, body = ResponseHandle.new(), http_body.new()
        if response.status != DEFAULT_STATUS:
            handle.set_status(response.status)
        for name, value in response.headers.to_wire():
            handle.append_header(name.decode(), value)
        rest = response.body
        while rest:
            rest = rest[http_body.write(body, rest) :]
        send_downstream(handle, body)

    def _header_names(self, max_len: int, cursor: int) -> tuple[bytes, int | None]:
        names, following = self._handle.get_header_names(max_len, cursor)
        return names.encode(), following

    def _values(self, name: bytes) -> list[bytes]:
        return nul_list(partial(self._handle.get_header_values, name.decode()))


class Service(HttpIncoming):
    """What the platform calls: a sandbox that serves one request after the other."""

    def serve(self, request: Request) -> None:
        """Answer one request or hand it off; nothing of it may be left for the next one."""
        raise NotImplementedError

    def handle(self, request: RequestHandle, body: Body) -> None:
        """Serve the request the sandbox was started for, then those it is given afterwards."""
        following: tuple[RequestHandle, Body] | None = request, body
        while following is not None:
            request, body = following
            with request, body:
                try:
                    self.serve(Request(request, body))
                except Err as error:  # as it is, it would end the sandbox without a word
                    raise RuntimeError(f"a hostcall failed: {error.value}") from error
            try:
                pending = http_downstream.next_request(NO_OPTIONS)
                following = http_downstream.await_request(pending)
            except Err:  # a host that says so by an error: nothing more for this sandbox
                return


def has_backend(name: str) -> bool:
    """Tell whether the service has a backend of that name."""
    return backend_named(name) is not None


@cache
def backend_named(name: str) -> Backend | None:
    """Return a backend, None if there is none; a version of a service has the same ones always."""
    return found(Backend.open, name)


def config(store: str) -> Callable[[str], str | None]:
    """Return a look-up in a config store; it finds nothing where there is no such store."""
    opened = found(config_store.Store.open, store)
    if opened is None:
        return lambda _: None
    return lambda key: sized(partial(opened.get, key))


def service_id() -> str:
    """Return the id of the service."""
    return compute_runtime.get_service_id()


def log(message: str) -> None:
    """Write one line to the log of the service."""
    sys.stderr.write(f"{message}\n")


def wipe_free_memory() -> None:
    """Overwrite what the imports have left behind in free memory, for a smaller component.

    A component is the interpreter's memory as it is when the imports are done. Zeros are not
    stored; what two megabytes of freed memory still contain would be.
    """
    blocks = [bytes(4096) for _ in range(512)]
    del blocks


def found[T](open_it: Callable[[str], T], name: str) -> T | None:
    """Open something by name; None if there is nothing of that name."""
    try:
        return open_it(name)
    except Err as error:
        if error.value is OpenError.NOT_FOUND:
            return None
        raise


def sized[T, *More](ask: Callable[[int, *More], T], *more: *More) -> T:
    """Ask for a value, and once more with the size the host names if it did not fit."""
    try:
        return ask(FIRST_BUFFER, *more)
    except Err as error:
        if not isinstance(error.value, Error_BufferLen):
            raise
        return ask(error.value.value, *more)


def nul_list(ask: Callable[[int, int], tuple[bytes, int | None]]) -> list[bytes]:
    """Ask for a list of values piece by piece; `ask` takes *max-len* and *cursor*."""
    values: list[bytes] = []
    cursor: int | None = 0
    while cursor is not None:
        buffer, cursor = sized(ask, cursor)
        values += buffer.split(b"\0")[:-1]
    return values
