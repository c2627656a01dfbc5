"""The opening handshake of a client's WebSocket: is it valid, and how it is accepted.

Source: RFC 6455 §4.2; RFC 7692 (compression); GRIP §11.4 (headers of the answer).
"""

import base64
import binascii
import dataclasses
from typing import Final

from websockets import datastructures
from websockets.exceptions import InvalidHandshake
from websockets.extensions import Extension
from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory
from websockets.server import ServerProtocol
from websockets.utils import accept_key

from grip.headers import Headers, is_field

__all__ = ["VERSION", "Refusal", "check_handshake", "negotiate_compression", "switching_headers"]

VERSION: Final = "13"
"""The protocol version (RFC 6455 §4.1)."""

_KEY_BYTES = 16

# Windows of 4 KiB and little memory for the compressor, as messages are short and clients many.
_COMPRESSION = ServerPerMessageDeflateFactory(
    server_max_window_bits=12, client_max_window_bits=12, compress_settings={"memLevel": 5}
)


@dataclasses.dataclass(frozen=True, slots=True)
class Refusal:
    """Why a handshake is not valid.

    Attributes:
        status: status of the answer.
        text: what the client is told.
        headers: further fields of the answer.
    """

    status: int
    text: str
    headers: Headers = dataclasses.field(default_factory=Headers)


def check_handshake(headers: Headers) -> Refusal | None:
    """Return what is wrong with a GET that asks for a WebSocket, None if nothing is."""
    if "upgrade" not in _tokens(headers, "Connection"):
        return Refusal(400, "Expected Connection: Upgrade.\n")
    if headers.get_all("Sec-WebSocket-Version") != [VERSION]:
        return Refusal(
            426,
            f"Expected version {VERSION} of the WebSocket protocol.\n",
            Headers([("Upgrade", "websocket"), ("Sec-WebSocket-Version", VERSION)]),
        )
    keys = headers.get_all("Sec-WebSocket-Key")
    if len(keys) != 1 or not _is_key(keys[0]):
        return Refusal(400, "Expected a Sec-WebSocket-Key of 16 bytes in Base64.\n")
    return None


def negotiate_compression(headers: Headers) -> tuple[Headers, tuple[Extension, ...]]:
    """Return the field that accepts `permessage-deflate`, and what it does; neither if not offered.

    An offer that is malformed counts as none.
    """
    name = "Sec-WebSocket-Extensions"
    offers = datastructures.Headers([(name, value) for value in headers.get_all(name)])
    try:
        accepted, extensions = ServerProtocol(extensions=[_COMPRESSION]).process_extensions(offers)
    except InvalidHandshake:
        return Headers(), ()
    return Headers([] if accepted is None else [(name, accepted)]), tuple(extensions)


def switching_headers(request: Headers, accepted: Headers) -> Headers:
    """Return the fields of the answer 101 to a valid handshake.

    Those of `accepted` are included, which a backend has given, unless they can do harm.
    """
    key = request.get("Sec-WebSocket-Key")
    assert key is not None
    return Headers(
        [
            ("Upgrade", "websocket"),
            ("Connection", "Upgrade"),
            ("Sec-WebSocket-Accept", accept_key(key)),
            *(field for field in accepted if is_field(*field)),
        ]
    )


def _tokens(headers: Headers, name: str) -> set[str]:
    return {token.strip().lower() for token in ",".join(headers.get_all(name)).split(",")}


def _is_key(text: str) -> bool:
    try:
        return len(base64.b64decode(text, validate=True)) == _KEY_BYTES
    except (binascii.Error, ValueError):
        return False
