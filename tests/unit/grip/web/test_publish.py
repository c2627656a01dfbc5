"""Publishing to several proxies at once, over a transport without sockets (GRIP §8.1)."""

import asyncio
import base64
import time
from collections.abc import Callable, Sequence

import httpx
import pytest

from grip.errors import LocalProtocolError
from grip.items import Item, parse_publish
from grip.signature import Key, verify
from grip.web.publish import AsyncPublisher, Publisher, PublishError

type Answer = Callable[[httpx.Request], httpx.Response]

TWO = "http://one:5561/?iss=app&key=secret-of-one http://user:secret-of-two@two/grip"


def taken(_: httpx.Request) -> httpx.Response:
    return httpx.Response(200, text="Published\n")


class Proxies:
    """Proxies that answer as told, and the requests they got."""

    def __init__(self, answer: Answer = taken) -> None:
        self.requests: list[httpx.Request] = []
        self._answer = answer

    def handle(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        return self._answer(request)

    @property
    def items(self) -> list[list[Item]]:
        return [parse_publish(request.content) for request in self.requests]


def waiting(grip_url: str, proxies: Proxies, items: Sequence[Item]) -> None:
    client = httpx.Client(transport=httpx.MockTransport(proxies.handle))
    with Publisher(grip_url, client=client) as publisher:
        publisher.publish_items(items)
    assert client.is_closed


def with_async(grip_url: str, proxies: Proxies, items: Sequence[Item]) -> None:
    async def run() -> None:
        client = httpx.AsyncClient(transport=httpx.MockTransport(proxies.handle))
        async with AsyncPublisher(grip_url, client=client) as publisher:
            await publisher.publish_items(items)
        assert client.is_closed

    asyncio.run(run())


@pytest.fixture(params=[waiting, with_async])
def publish(request: pytest.FixtureRequest) -> Callable[[str, Proxies, Sequence[Item]], None]:
    return request.param  # type: ignore[no-any-return]  # pytest does not know


type Publish = Callable[[str, Proxies, Sequence[Item]], None]
HELLO = Item.message("room", "hello")


def test_all_proxies_get_the_items_each_with_its_own_credentials(publish: Publish) -> None:
    proxies = Proxies()
    publish(TWO, proxies, [HELLO, HELLO])
    assert proxies.items == [[HELLO, HELLO]] * 2
    one, two = sorted(proxies.requests, key=lambda request: request.url.host)
    assert [str(r.url) for r in (one, two)] == [
        "http://one:5561/publish/",
        "http://two/grip/publish/",
    ]
    assert {r.method for r in (one, two)} == {"POST"}
    assert {r.headers["Content-Type"] for r in (one, two)} == {"application/json"}
    scheme, _, token = one.headers["Authorization"].partition(" ")
    assert scheme == "Bearer"
    assert verify(token, Key.secret("secret-of-one"), "app", time.time()).issuer == "app"
    basic = base64.b64encode(b"user:secret-of-two").decode()
    assert two.headers["Authorization"] == f"Basic {basic}"


def test_a_proxy_that_fails_is_named_without_its_key_and_the_others_get_the_items(
    publish: Publish,
) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(401, text="no\n") if request.url.host == "one" else taken(request)

    proxies = Proxies(answer)
    with pytest.raises(PublishError) as error:
        publish(TWO, proxies, [HELLO])
    assert len(proxies.requests) == 2
    assert error.value.failures == (("http://one:5561/publish/", "answered 401: 'no'"),)
    assert str(error.value) == (
        "1 of 2 did not take the items: http://one:5561/publish/ answered 401: 'no'"
    )


def test_proxies_that_cannot_be_reached_are_all_named(publish: Publish) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.host == "one":
            raise httpx.ConnectError("connection refused")
        raise httpx.ReadTimeout("")

    with pytest.raises(PublishError) as error:
        publish(TWO, Proxies(answer), [HELLO])
    assert error.value.failures == (
        ("http://one:5561/publish/", "cannot be asked: ConnectError connection refused"),
        ("http://two/grip/publish/", "cannot be asked: ReadTimeout"),
    )
    assert "secret" not in str(error.value)


def test_a_redirect_is_no_success(publish: Publish) -> None:
    def answer(_: httpx.Request) -> httpx.Response:
        return httpx.Response(302, headers={"Location": "http://elsewhere/"})

    with pytest.raises(PublishError, match="answered 302"):
        publish("http://one/", Proxies(answer), [HELLO])


def test_header_values_are_kept_out_of_errors(publish: Publish) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        raise httpx.LocalProtocolError(f"Illegal header value {request.headers['Authorization']}")

    with pytest.raises(PublishError) as error:
        publish("http://one/?key=token", Proxies(answer), [HELLO])
    assert "token" not in str(error.value)


def test_an_item_that_cannot_be_published_reaches_nobody(publish: Publish) -> None:
    proxies = Proxies()
    with pytest.raises(LocalProtocolError):
        publish(TWO, proxies, [HELLO, Item(channel="room")])
    assert not proxies.requests


def test_a_message_is_published_to_every_kind_of_subscriber() -> None:
    proxies = Proxies()
    client = httpx.Client(transport=httpx.MockTransport(proxies.handle))
    publisher = Publisher("http://one", client=client)
    publisher.publish("room", "a\nb", item_id="2", prev_id="1")
    publisher.publish("room", b"\xff", newline=True)
    publisher.publish("room", "a\nb", sse=True, item_id="2")
    (plain,), (binary,), (event,) = proxies.items
    assert plain == Item.message("room", "a\nb", item_id="2", prev_id="1")
    assert binary == Item.message("room", b"\xff", newline=True)
    assert event.http_stream is not None
    assert event.http_stream.content == b"id: 2\ndata: a\ndata: b\n\n"
    assert event.ws_message == plain.ws_message
    with pytest.raises(LocalProtocolError, match="expected text"):
        publisher.publish("room", b"\xff", sse=True)


async def test_a_message_is_published_the_same_way_with_async() -> None:
    proxies = Proxies()
    client = httpx.AsyncClient(transport=httpx.MockTransport(proxies.handle))
    await AsyncPublisher("http://one", client=client).publish("room", "hello", newline=True)
    assert proxies.items == [[Item.message("room", "hello", newline=True)]]


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRIP_URL", "http://one http://two")
    with Publisher() as publisher:
        assert [e.url for e in publisher.endpoints] == [
            "http://one/publish/",
            "http://two/publish/",
        ]
