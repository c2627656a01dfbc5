"""Who may speak GRIP with an application (GRIP §2.2, §9.4, §11.2)."""

import logging
import time

import pytest

from grip.errors import RemoteProtocolError, SignatureError
from grip.headers import Headers
from grip.signature import Key, sign
from grip.web.gate import Gate, Grip, refuse

KEY, OTHER_KEY = Key.secret("key-of-the-proxy"), Key.secret("key-of-another-proxy")
CHECKED = (
    "http://a/?verify-iss=proxy&verify-key=key-of-the-proxy "
    "http://b/?verify-key=key-of-another-proxy"
)
UNCHECKED = "http://a/"
NOTHING = Headers()
EVENTS = Headers(
    [("Content-Type", "application/websocket-events"), ("Sec-WebSocket-Extensions", "grip")]
)


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GRIP_VERIFY_KEY", raising=False)


def signed(
    key: Key = KEY, issuer: str = "proxy", *, headers: Headers = NOTHING, age_s: float = 0
) -> Headers:
    return headers.plus(("Grip-Sig", sign(key, issuer, time.time() - age_s)))


def enter(headers: Headers = NOTHING, proxies: str = CHECKED, method: str = "GET") -> Grip:
    return Gate(proxies).enter(method, headers, None)


@pytest.mark.parametrize(
    "headers", [signed(), signed(OTHER_KEY), signed(OTHER_KEY, "anybody")], ids=range(3)
)
def test_a_request_any_of_the_proxies_signed_is_signed(headers: Headers) -> None:
    grip = enter(headers)
    assert grip.signed
    assert grip.may_instruct


@pytest.mark.parametrize(
    "headers",
    [
        signed(issuer="somebody"),
        signed(Key.secret("forged")),
        signed(age_s=4000),
        signed(headers=signed()),
        Headers([("Grip-Sig", "")]),
        Headers([("Grip-Sig", "forged")]),
    ],
    ids=["issuer", "key", "expired", "twice", "empty", "garbage"],
)
def test_a_signature_that_does_not_verify_counts_as_none_and_is_logged(
    headers: Headers, caplog: pytest.LogCaptureFixture
) -> None:
    grip = enter(headers)
    assert not grip.signed
    assert not grip.may_instruct
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "Grip-Sig does not count" in record.message
    assert "key-of" not in record.message


def test_a_request_without_signature_is_nothing_to_log(caplog: pytest.LogCaptureFixture) -> None:
    assert not enter().signed
    assert not caplog.records


def test_without_a_key_all_may_instruct_and_the_log_says_so(
    caplog: pytest.LogCaptureFixture,
) -> None:
    grip = enter(signed(), UNCHECKED)
    assert not grip.signed
    assert grip.may_instruct
    assert "no key to verify Grip-Sig" in caplog.text


@pytest.mark.parametrize("proxies", [CHECKED, UNCHECKED])
def test_head_has_nothing_to_hold(proxies: str) -> None:
    assert not enter(signed(), proxies, "HEAD").may_instruct


def test_events_are_read() -> None:
    grip = Gate(CHECKED).enter("POST", signed(headers=EVENTS), b"OPEN\r\n")
    assert grip.websocket is not None
    assert grip.websocket.opening
    assert grip.websocket.grip


def test_events_without_signature_are_refused_once_a_key_is_known() -> None:
    with pytest.raises(SignatureError) as error:
        Gate(CHECKED).enter("POST", EVENTS, b"OPEN\r\n")
    assert refuse(error.value) == (403, "Forbidden", b"forbidden\n")
    assert Gate(UNCHECKED).enter("POST", EVENTS, b"OPEN\r\n").websocket is not None


def test_malformed_events_are_refused() -> None:
    with pytest.raises(RemoteProtocolError) as error:
        Gate(CHECKED).enter("POST", signed(headers=EVENTS), b"TEXT zz\r\n")
    assert refuse(error.value) == (400, "Bad Request", b"bad request\n")


def test_last_ids_tell_where_a_client_is() -> None:
    headers = signed(
        headers=Headers([("Grip-Last", "a; last-id=1, b; last-id=2"), ("Grip-Last", "c")])
    )
    assert enter(headers).last_ids == {"a": "1", "b": "2", "c": ""}


def test_malformed_last_ids_are_refused() -> None:
    with pytest.raises(RemoteProtocolError) as error:
        enter(Headers([("Grip-Last", 'a; last-id="1')]))
    assert refuse(error.value)[0] == 400
