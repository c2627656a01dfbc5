"""The error tree: what a message shows, and what a caller can act on."""

import pytest

from grip.errors import (
    GripError,
    LocalProtocolError,
    RemoteProtocolError,
    SignatureError,
    shorten,
)


def test_local_and_remote_faults_are_siblings() -> None:
    assert issubclass(LocalProtocolError, GripError)
    assert issubclass(RemoteProtocolError, GripError)
    assert not issubclass(LocalProtocolError, RemoteProtocolError)


def test_remote_fault_is_a_bad_gateway_unless_said_otherwise() -> None:
    assert RemoteProtocolError("x").status_hint == 502
    assert RemoteProtocolError("x", status_hint=400).status_hint == 400


def test_offset_is_an_attribute_and_part_of_the_message() -> None:
    error = RemoteProtocolError("expected CRLF, got b'x'", offset=7)
    assert error.offset == 7
    assert str(error) == "expected CRLF, got b'x' (at byte 7)"
    assert RemoteProtocolError("x").offset is None


def test_bad_signature_is_forbidden() -> None:
    assert SignatureError("expired").status_hint == 403


@pytest.mark.parametrize("value", ["x" * 1000, b"x" * 1000, ["x"] * 1000, '"' * 74])
def test_shown_values_are_cut(value: object) -> None:
    assert len(shorten(value)) <= 75


def test_short_values_are_shown_whole() -> None:
    assert shorten("room") == "'room'"
    assert shorten(b"\x00") == "b'\\x00'"
    assert shorten("x" * 20, limit=10) == "'xxxxxxxx…"
