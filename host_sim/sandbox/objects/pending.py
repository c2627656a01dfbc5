"""A request on its way to a backend, and the changes its response is to get.

The guest waits for the response, or leaves it to the host to pass it on to the client; either way
the changes that were queued meanwhile are made first. Host contract §1.3, §2.2, §2.3.
"""

import zlib
from collections.abc import AsyncIterator
from typing import Any

from host_sim.body import Body, close_soon
from host_sim.errors import BackendError, BackendFault
from host_sim.messages import Response
from host_sim.sandbox.border.values import WitError
from host_sim.sandbox.objects.bodies import GuestBody
from host_sim.sandbox.objects.headers import MAX_NAME, HeaderTable, check_name
from host_sim.sandbox.objects.messages import GuestRequest, GuestResponse, phrase, response_of
from host_sim.sandbox.waiting import Pending, Waiting

__all__ = ["HeaderChanges", "PendingResponse", "send_error"]

_GZIP = 16 + zlib.MAX_WBITS
_PIECE = 64 << 10


class HeaderChanges:
    """Changes to make in a header table later: removals first, then insertions, then additions."""

    def __init__(self) -> None:
        self._removed: dict[str, None] = {}
        self._inserted = HeaderTable()
        self._appended = HeaderTable()

    def insert(self, name: str, value: bytes) -> None:
        """Queue the one value of a name, instead of what was queued for it.

        Raises:
            WitError: name or value is not allowed.
        """
        _check(name)
        self._inserted.insert(name, value)
        self._appended.remove(name)

    def append(self, name: str, value: bytes) -> None:
        """Queue one more value of a name.

        Raises:
            WitError: name or value is not allowed.
        """
        _check(name)
        self._appended.append(name, value)

    def remove(self, name: str) -> None:
        """Queue the removal of a name, and forget what was queued for it.

        Raises:
            WitError: the name is not allowed.
        """
        _check(name)
        self._inserted.remove(name)
        self._appended.remove(name)
        self._removed[name.lower()] = None

    def apply(self, headers: HeaderTable) -> None:
        """Make the changes."""
        for name in self._removed:
            headers.remove(name)
        for name, values in self._inserted:
            headers.insert(name, values[0])
        for name, values in self._appended:
            for value in values:
                headers.append(name, value)


def _check(name: str) -> None:
    try:
        check_name(name, MAX_NAME)
    except WitError:
        raise WitError("generic-error") from None  # for a name that is too long as well


class PendingResponse:
    """A request on its way to a backend, as a handle.

    Attributes:
        changes: made to its response.
        changes_of_error: made to the response that stands in for one that does not come.
    """

    def __init__(self, waiting: Waiting, pending: Pending[Response], request: GuestRequest) -> None:
        self._waiting = waiting
        self._pending = pending
        self._decode_gzip = request.decode_gzip
        self.changes = HeaderChanges()
        self.changes_of_error = HeaderChanges()

    @property
    def ready(self) -> bool:
        """Whether the head of the response is here, or none will come."""
        return self._pending.ready

    def result(self) -> tuple[GuestResponse, GuestBody]:
        """Wait for the response.

        Raises:
            WitError: there is none; the error is a record.
        """
        try:
            response = self._pending.result()
        except BackendError as error:
            raise WitError(send_error(error)) from error
        answer, body = self._received(response)
        return answer, GuestBody(self._waiting, body)

    async def passed_on(self, *, to_head: bool) -> Response:
        """Wait for the response and return what goes to the client; on the event loop."""
        try:
            response = await self._pending.arrived()
        except BackendError as error:
            return self._stand_in(error)
        answer, body = self._received(response)
        return response_of(answer, body, to_head=to_head)

    def _received(self, response: Response) -> tuple[GuestResponse, Body]:
        answer, body = GuestResponse.incoming(response), response.body
        codings = [value.lower() for value in answer.headers.all("content-encoding")]
        if self._decode_gzip and codings and codings[0] in (b"gzip", b"x-gzip"):
            answer.headers.remove("content-encoding")
            answer.headers.remove("content-length")
            body = Body(_gunzip(body), None)
        self.changes.apply(answer.headers)
        return answer, body

    def _stand_in(self, error: BackendError) -> Response:
        status = {BackendFault.TIMEOUT: 504, BackendFault.LOOP: 500}.get(error.fault, 502)
        headers = HeaderTable()
        self.changes_of_error.apply(headers)
        return Response(
            status=status,
            reason=phrase(status),
            headers=headers.headers(),
            body=Body.of(f"{error}\n".encode(errors="replace")),
        )

    def dropped(self) -> None:
        """Give up on the response."""
        unread = self._pending.cancel()
        if unread is not None:
            self._waiting.post(close_soon, unread.body)


async def _gunzip(body: Body) -> AsyncIterator[bytes]:
    """Yield what is in a row of gzip members (RFC 1952 §2.2), no large piece at once.

    Raises:
        zlib.error: it is no gzip, or not all of it; not `BodyError`, which is for lost connections.
        BodyError: `body` broke off.
    """
    decoder, fed = zlib.decompressobj(_GZIP), False
    try:
        async for piece in body:
            left = piece
            while left:
                decoder = zlib.decompressobj(_GZIP) if decoder.eof else decoder
                plain = decoder.decompress(left, _PIECE)
                left, fed = decoder.unused_data or decoder.unconsumed_tail, True
                while plain:
                    yield plain
                    full = len(plain) == _PIECE and not left  # there may be more without input
                    plain = decoder.decompress(b"", _PIECE) if full else b""
        if fed and not decoder.eof:
            raise zlib.error("it ends too soon")
    except zlib.error as error:
        raise zlib.error(f"the body is not what its Content-Encoding says: {error}") from error
    finally:
        await body.aclose()


def send_error(error: BackendError) -> dict[str, Any]:
    """Return `error-with-detail`. Host contract §2.0, last table."""
    match error.fault:
        case BackendFault.UNKNOWN:
            detail, case = "destination-not-found", "generic-error"
        case BackendFault.UNREACHABLE:
            detail, case = "connection-refused", "generic-error"
        case BackendFault.CLOSED:
            detail, case = "connection-terminated", "http-incomplete"
        case BackendFault.INVALID:
            detail, case = "http-protocol-error", "http-invalid"
        case BackendFault.TIMEOUT:
            detail, case = "http-response-timeout", "generic-error"
        case BackendFault.LOOP:
            detail, case = "internal-error", "generic-error"
    return {"detail": detail, "error": case}
