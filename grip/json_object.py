"""JSON objects whose fields are read with their types checked, for instructions and items.

As strict and as lenient as Pushpin: unknown fields do not matter, numbers may be strings, Base64
skips what is no Base64. Error texts are Pushpin's, because publishers get to see them. Knows no
field by name; what a field means is the caller's business.
Source: GRIP §4, §8.2, §12.
"""

import base64
import binascii
import codecs
import json
import re
from typing import Any, NoReturn

from grip.errors import RemoteProtocolError, shorten
from grip.headers import Headers, is_field

__all__ = [
    "MAX_INTEGER",
    "JsonObject",
    "decode_base64",
    "encode_content",
    "load_json",
    "parse_integer",
]

MAX_INTEGER = 2**31 - 1

_INTEGER = re.compile(r"[+-]?[0-9]{1,10}")
_BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_NOT_BASE64 = bytes(set(range(256)) - set(_BASE64))


def load_json(data: bytes | str) -> object:
    """Parse JSON text; strings in the result can always be encoded as UTF-8.

    Raises:
        RemoteProtocolError: not JSON, not UTF-8, NaN or infinity by name, half of a surrogate
            pair, a number too long or nesting too deep to read.
    """
    try:
        text = data if isinstance(data, str) else data.removeprefix(codecs.BOM_UTF8).decode()
        value: object = _DECODER.decode(text)
        if "\\ud" in text or "\\uD" in text:  # halves of pairs come from escapes only
            json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise RemoteProtocolError(f"expected JSON, got {shorten(data)}: {error}") from None
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


_DECODER = json.JSONDecoder(parse_constant=_refuse_constant)


def parse_integer(text: str) -> int | None:
    """Return the number that a decimal string stands for, None if it is none.

    Spaces around it and a sign are fine; more than 32 bits are not (Pushpin's `toInt`).
    """
    text = text.strip(" \t")
    if not _INTEGER.fullmatch(text):
        return None
    number = int(text)
    return number if -MAX_INTEGER <= number <= MAX_INTEGER else None


def decode_base64(text: str) -> bytes:
    """Decode Base64, skipping everything that is none, padding included (GRIP §8.2).

    >>> decode_base64("aGVs bG8")
    b'hello'
    """
    data = text.encode("utf-8", "replace").translate(None, _NOT_BASE64)
    if len(data) % 4 == 1:  # six bits make no byte
        data = data[:-1]
    return binascii.a2b_base64(data + b"=" * (-len(data) % 4))


def encode_content(key: str, content: bytes) -> dict[str, object]:
    r"""Return the field that `JsonObject.content` reads: text where it is text, else Base64.

    >>> encode_content("body", b"hello"), encode_content("body", b"\xff")
    ({'body': 'hello'}, {'body-bin': '/w=='})
    """
    try:
        return {key: content.decode()}
    except UnicodeDecodeError:
        return {f"{key}-bin": base64.b64encode(content).decode()}


class JsonObject:
    """One JSON object, called `name` in the errors about it.

    A field that is absent reads as None; `null` is a value of a wrong type. All readers raise
    `RemoteProtocolError`.
    """

    __slots__ = ("_name", "_values")

    def __init__(self, value: object, name: str) -> None:
        if not isinstance(value, dict):
            raise RemoteProtocolError(f"{name} is not an object")
        self._values: dict[str, Any] = value
        self._name = name

    def __contains__(self, key: str) -> bool:
        return key in self._values

    def __len__(self) -> int:
        return len(self._values)

    def require(self, *keys: str) -> None:
        """Refuse the object unless it has one of `keys`."""
        for key in keys:
            if key in self._values:
                return
        *head, last = [f"'{key}'" for key in keys]
        comma = "," if len(head) > 1 else ""
        names = f"{', '.join(head)}{comma} or {last}" if head else last
        raise RemoteProtocolError(f"{self._name} does not contain {names}")

    def value(self, key: str) -> object:
        """Return a value of any type that must be there."""
        self.require(key)
        return self._values[key]

    def text(self, key: str) -> str | None:
        """Return a string."""
        if key not in self._values:
            return None
        value = self._values[key]
        return value if isinstance(value, str) else self._wrong_type(key)

    def required_text(self, key: str) -> str:
        """Return a string that must be there."""
        value = self.text(key)
        if value is None:
            self.require(key)
            raise AssertionError("unreachable")
        return value

    def integer(self, key: str, maximum: int = MAX_INTEGER) -> int | None:
        """Return an integer from 0 to `maximum`, which may be a string or a float without rest."""
        if key not in self._values:
            return None
        number: int | None = None
        match self._values[key]:
            case bool():
                pass
            case int() as value:
                number = value
            case float() as value if value.is_integer():
                number = int(value)
            case str() as value:
                number = parse_integer(value)
        if number is None:
            self._wrong_type(key)
        if not 0 <= number <= maximum:
            self.invalid_value(key)
        return number

    def boolean(self, key: str) -> bool | None:
        """Return true or false."""
        if key not in self._values:
            return None
        value = self._values[key]
        return value if isinstance(value, bool) else self._wrong_type(key)

    def list(self, key: str) -> list[Any] | None:
        """Return a list with elements of any type."""
        if key not in self._values:
            return None
        value = self._values[key]
        return value if isinstance(value, list) else self._wrong_type(key)

    def texts(self, key: str) -> tuple[str, ...] | None:
        """Return a list of strings."""
        values = self.list(key)
        if values is None:
            return None
        if not all(isinstance(value, str) for value in values):
            raise RemoteProtocolError(f"{key} contains element with wrong type")
        return tuple(values)

    def object(self, key: str) -> "JsonObject | None":
        """Return an object, called by its key in errors about its fields."""
        if key not in self._values:
            return None
        if not isinstance(self._values[key], dict):
            self._wrong_type(key)
        return JsonObject(self._values[key], key)

    def text_map(self, key: str, name: str | None = None) -> dict[str, str] | None:
        """Return an object of strings, called `name` in errors (by default the quoted key)."""
        if key not in self._values:
            return None
        values = self._values[key]
        if not isinstance(values, dict):
            self._wrong_type(key)
        for child, value in values.items():
            if not isinstance(value, str):
                raise RemoteProtocolError(f"{name or repr(key)} contains '{child}' with wrong type")
        return values

    def headers(self, key: str) -> Headers | None:
        """Return header fields: an object of strings, or a list of `[name, value]` pairs."""
        if key not in self._values:
            return None
        values = self._values[key]
        if isinstance(values, dict):
            pairs = list((self.text_map(key, key) or {}).items())
        elif isinstance(values, list):
            pairs = [_pair(key, element) for element in values]
        else:
            self._wrong_type(key)
        fields: list[tuple[str, str]] = []
        for name, value in pairs:
            trimmed = value.strip(" \t")
            if not is_field(name, trimmed):
                raise RemoteProtocolError(f"{key} contains {shorten(name)} with invalid value")
            fields.append((name, trimmed))
        return Headers(fields)

    def content(self, key: str, binary_key: str) -> bytes | None:
        """Return the Base64 in `binary_key`, else the text in `key` as UTF-8."""
        binary = self.text(binary_key)
        if binary is not None:
            return decode_base64(binary)
        text = self.text(key)
        return None if text is None else text.encode()

    def invalid_value(self, key: str) -> NoReturn:
        """Refuse the value of `key`."""
        raise RemoteProtocolError(f"{self._name} contains '{key}' with invalid value")

    def _wrong_type(self, key: str) -> NoReturn:
        raise RemoteProtocolError(f"{self._name} contains '{key}' with wrong type")


def _pair(key: str, element: object) -> tuple[str, str]:
    """Return a header field given as a list of two strings."""
    if not isinstance(element, list):
        raise RemoteProtocolError(f"{key} contains element with wrong type")
    if len(element) != 2:
        raise RemoteProtocolError(f"{key} contains list with wrong number of elements")
    for part, value in zip(("name", "value"), element, strict=True):
        if not isinstance(value, str):
            raise RemoteProtocolError(f"header contains {part} element with wrong type")
    return element[0], element[1]
