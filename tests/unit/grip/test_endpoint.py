"""`GRIP_URL` and publish requests (GRIP §8.1, §14)."""

import base64
import json

import pytest

from grip.endpoint import Endpoint, parse_grip_url, publish_request
from grip.errors import LocalProtocolError
from grip.items import Item, parse_publish
from grip.signature import FASTLY_FANOUT_KEY, Key, verify

NOW = 1000.0
ITEM = Item.message("room", "hello")
FASTLY = "https://api.fastly.com/service/abc"


def endpoint(text: str) -> Endpoint:
    [parsed] = parse_grip_url(text)
    return parsed


def authorization(text: str) -> str | None:
    return publish_request(endpoint(text), [ITEM], NOW).headers.get("authorization")


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("http://localhost:5561/", "http://localhost:5561/publish/"),
        ("http://localhost:5561", "http://localhost:5561/publish/"),
        ("http://localhost:5561/publish/", "http://localhost:5561/publish/"),
        ("http://localhost:5561/publish", "http://localhost:5561/publish/"),
        ("HTTP://LocalHost/x//", "http://localhost/x/publish/"),
        ("http://[::1]:5561/", "http://[::1]:5561/publish/"),
        (f"{FASTLY}?verify-iss=fastly:abc&key=t", f"{FASTLY}/publish/"),
        ("http://u:p@h/x?a=b%20c&key=k&d", "http://h/x/publish/?a=b%20c&d"),
        ("http://h/#fragment", "http://h/publish/"),
    ],
)
def test_url(text: str, url: str) -> None:
    assert endpoint(text).url == url


@pytest.mark.parametrize("separator", [" ", ",", ", ", "\n", " ,\t"])
def test_several(separator: str) -> None:
    text = separator.join(["http://a/?key=1,2", "https://b/", "http://c/"])
    first, second, third = parse_grip_url(f" {text} ")
    assert (first.url, first.token) == ("http://a/publish/", "1,2")
    assert (second.url, third.url) == ("https://b/publish/", "http://c/publish/")


@pytest.mark.parametrize(
    "text",
    ["", " ", "localhost:5561", "ftp://h/", "http://", "http:///x", "http://h:x/", "http://["],
)
def test_no_url(text: str) -> None:
    with pytest.raises(LocalProtocolError):
        parse_grip_url(text)


def test_errors_and_reprs_keep_secrets() -> None:
    with pytest.raises(LocalProtocolError) as caught:
        parse_grip_url("gopher://user:hunter2@h/?key=hunter2")
    assert "hunter2" not in str(caught.value)
    for text in ("http://user:hunter2@h/", "http://h/?key=hunter2", "http://h/?iss=i&key=hunter2"):
        assert "hunter2" not in repr(endpoint(text))


class TestAuthorization:
    def test_none(self) -> None:
        assert authorization("http://localhost:5561/") is None

    def test_basic(self) -> None:
        value = authorization("http://service%40id:s%3Acret@h/")
        assert value == "Basic " + base64.b64encode(b"service@id:s:cret").decode()
        assert authorization("http://user@h/") == "Basic " + base64.b64encode(b"user:").decode()

    def test_key_alone_is_a_token(self) -> None:
        """As Fastly's API has it."""
        assert authorization(f"{FASTLY}?verify-iss=fastly:abc&key=a+b%2Bc") == "Bearer a+b+c"

    def test_key_with_issuer_signs(self) -> None:
        for key, secret in (("secret", b"secret"), ("base64:/+8=", b"\xff\xef")):
            value = authorization(f"http://user:password@h/?iss=me&key={key}")
            assert value is not None
            token = value.removeprefix("Bearer ")
            assert verify(token, Key.secret(secret), "me", NOW).expires_at == NOW + 3600

    def test_token_that_no_header_can_carry(self) -> None:
        with pytest.raises(LocalProtocolError):
            authorization("http://h/?key=a%0D%0AX:b")

    def test_key_that_cannot_sign(self) -> None:
        with pytest.raises(LocalProtocolError):
            parse_grip_url("http://h/?iss=me&key=base64:!")


def test_what_requests_are_verified_with() -> None:
    body = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAECKo5A1ebyFcnmVV8SE5On+8G81Jy"
    body += "BjSvcrx4VLetWCjuDAmppTo3xM/zz763COTCgHfp/6lPdCyYjjqc+GM7sw=="
    parsed = endpoint(f"{FASTLY}?key=t&verify-iss=fastly:abc&verify-key={body}")
    assert parsed.verify_issuer == "fastly:abc"
    assert parsed.verify_key == FASTLY_FANOUT_KEY
    bare = endpoint("http://h/")
    assert (bare.verify_issuer, bare.verify_key) == (None, None)


def test_request() -> None:
    method, url, headers, body = publish_request(endpoint("http://h/"), [ITEM], NOW)
    assert (method, url) == ("POST", "http://h/publish/")
    assert list(headers) == [("Content-Type", "application/json")]
    assert parse_publish(body) == [ITEM]
    assert json.loads(body)["items"][0]["channel"] == "room"


def test_items_are_checked() -> None:
    with pytest.raises(LocalProtocolError):
        publish_request(endpoint("http://h/"), [Item(channel="room")], NOW)
