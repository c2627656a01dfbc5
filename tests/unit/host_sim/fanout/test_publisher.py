"""The publish endpoint (GRIP §8.1)."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator

import pytest

from host_sim.body import Body
from host_sim.fanout.publisher import Publisher
from host_sim.fanout.registry import Registry
from tests.support.fanout import Clock, Downstream, Sink
from tests.support.requests import request

BODY = json.dumps(
    {"items": [{"channel": "room", "id": "1", "formats": {"http-stream": {"content": "x"}}}]}
).encode()
KEY = "geheim:é"
BASIC = "Basic " + base64.b64encode(f"service:{KEY}".encode()).decode()


class Endpoint:
    """A publisher with one subscriber on `room`."""

    def __init__(
        self,
        key: str | None = None,
        max_body_bytes: int = 1000,
        body_timeout_s: float = 60.0,
        tell_above: int | None = None,
    ) -> None:
        self.registry = Registry(Clock())
        self.sink = Sink()
        self.registry.subscribe("room", self.sink)
        self._publisher = Publisher(
            self.registry,
            key=key,
            max_body_bytes=max_body_bytes,
            body_timeout_s=body_timeout_s,
            tell_above=tell_above,
        )

    async def ask(
        self,
        method: str = "POST",
        target: str = "/publish/",
        *fields: tuple[str, str],
        body: bytes | Body = BODY,
    ) -> Downstream:
        length = () if isinstance(body, Body) else (("Content-Length", str(len(body))),)
        downstream = Downstream()
        asked = request(method, target, (*fields, *length), body)
        await self._publisher(asked, downstream)
        assert downstream.finished
        assert downstream.length == len(downstream.body)
        return downstream


FORMS = ["/publish/", "/publish", "/publish/?x=1", "/abc123/publish/", "/service/abc123/publish/"]


@pytest.mark.parametrize("target", FORMS)
async def test_every_form_publishes(target: str) -> None:
    endpoint = Endpoint()
    answer = await endpoint.ask("POST", target)
    assert (answer.status, answer.reason, answer.body) == (200, "OK", b"Published\n")
    assert answer.headers.get("Content-Type") == "text/plain"
    assert endpoint.sink.items == ["1"]


@pytest.mark.parametrize(
    "target",
    [
        *("/", "/publish?x", "/publishx", "/a/b/publish/", "/abc/publish", "/service/abc/publish"),
        *("/x", "/publish//", "//publish/"),
    ],
)
async def test_other_paths_are_not_found(target: str) -> None:
    endpoint = Endpoint()
    answer = await endpoint.ask("POST", target)
    assert (answer.status, answer.body) == (404, b"Not Found\n")
    assert endpoint.sink.items == []


async def test_root_says_what_this_is() -> None:
    answer = await Endpoint().ask("GET", "/", body=b"")
    assert (answer.status, answer.body) == (200, b"Pushpin API\n")


@pytest.mark.parametrize("target", ["/publish/", "/recover"])
async def test_only_post_publishes(target: str) -> None:
    answer = await Endpoint().ask("PUT", target)
    assert (answer.status, answer.body) == (405, b"Method not allowed: PUT.\n")
    assert answer.headers.get("Allow") == "POST"


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        (("text/plain",), "text/plain"),
        (("application/json",), "application/json"),
        (("*/*",), "text/plain"),
        (("text/*",), "text/plain"),
        (("application/*",), "application/json"),
        (("text/html, application/json;q=0.5",), "application/json"),
        (("application/json, text/plain",), "text/plain"),
        (("Text/Plain", "Application/JSON"), "application/json"),
    ],
)
async def test_answer_comes_as_it_is_accepted(accept: tuple[str, ...], media_type: str) -> None:
    answer = await Endpoint().ask("POST", "/publish/", *(("Accept", value) for value in accept))
    assert answer.status == 200
    assert answer.headers.get("Content-Type") == media_type
    expected = {"text/plain": b"Published\n", "application/json": b'{"message":"Published"}\n'}
    assert answer.body == expected[media_type]


@pytest.mark.parametrize("accept", ["text/html", "", "application/xml, image/*"])
async def test_nothing_is_published_if_no_answer_is_acceptable(accept: str) -> None:
    endpoint = Endpoint()
    answer = await endpoint.ask("POST", "/publish/", ("Accept", accept))
    assert answer.status == 406
    assert endpoint.sink.items == []


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"", b"Body is not valid JSON.\n"),
        (b"[]", b"Invalid format.\n"),
        (b"{}", b"Invalid format: object does not contain 'items'\n"),
    ],
)
async def test_body_that_is_no_publish_is_refused_with_the_reason(body: bytes, text: bytes) -> None:
    answer = await Endpoint().ask(body=body)
    assert (answer.status, answer.body) == (400, text)
    assert answer.headers.get("Content-Type") == "text/plain"


async def test_one_invalid_item_keeps_all_back() -> None:
    endpoint = Endpoint()
    items = [*json.loads(BODY)["items"], {"channel": 5}]
    answer = await endpoint.ask(body=json.dumps({"items": items}).encode())
    assert answer.status == 400
    assert endpoint.sink.items == []


async def test_length_has_to_be_announced() -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield BODY

    answer = await Endpoint().ask(body=Body(chunks(), None))
    assert (answer.status, answer.body) == (411, b"Request requires Content-Length.\n")


async def test_body_that_is_too_long_is_refused_unread() -> None:
    read = []

    async def pieces() -> AsyncIterator[bytes]:
        read.append(True)
        yield b"x"

    endpoint = Endpoint(max_body_bytes=10)
    answer = await endpoint.ask(
        "POST", "/publish/", ("Content-Length", "11"), body=Body(pieces(), 11)
    )
    assert (answer.status, answer.body) == (400, b"Request body too large.\n")
    assert not read


async def test_request_that_breaks_off_publishes_nothing() -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield BODY[:5]
        raise ConnectionError("reset")

    endpoint = Endpoint()
    answer = await endpoint.ask(
        "POST", "/publish/", ("Content-Length", "99"), body=Body(broken(), 99)
    )
    assert answer.status == 400
    assert endpoint.sink.items == []


async def test_request_that_does_not_come_to_its_end_is_given_up() -> None:
    """RFC 9110 §15.5.9."""

    async def stops() -> AsyncIterator[bytes]:
        yield BODY[:5]
        await asyncio.get_running_loop().create_future()

    endpoint = Endpoint(body_timeout_s=0.01)
    answer = await endpoint.ask(
        "POST", "/publish/", ("Content-Length", "99"), body=Body(stops(), 99)
    )
    assert (answer.status, answer.body) == (408, b"The request took too long.\n")
    assert endpoint.sink.items == []


async def test_recover_refreshes_everybody() -> None:
    endpoint = Endpoint()
    answer = await endpoint.ask("POST", "/recover", body=b"")
    assert (answer.status, answer.body) == (200, b"Updated\n")
    assert endpoint.sink.refreshed == 1


class TestKey:
    """RFC 9110 §11; which credentials belong to which form: GRIP §14."""

    @pytest.mark.parametrize(
        ("target", "field"),
        [
            ("/abc/publish/", ("Authorization", BASIC)),
            ("/service/abc/publish/", ("Fastly-Key", KEY)),
            ("/service/abc/publish/", ("Authorization", f"bearer {KEY}")),
            ("/publish/", ("Authorization", BASIC)),
            ("/publish/", ("Authorization", f"Bearer {KEY}")),
            ("/publish/", ("Fastly-Key", KEY)),
            ("/recover", ("Fastly-Key", KEY)),
        ],
    )
    async def test_who_knows_the_key_may_publish(self, target: str, field: tuple[str, str]) -> None:
        assert (await Endpoint(KEY).ask("POST", target, field)).status == 200

    @pytest.mark.parametrize(
        ("target", "schemes"),
        [
            ("/abc/publish/", ["Basic"]),
            ("/service/abc/publish/", ["Bearer"]),
            ("/publish/", ["Basic", "Bearer"]),
            ("/recover", ["Basic", "Bearer"]),
        ],
    )
    async def test_who_says_nothing_is_asked(self, target: str, schemes: list[str]) -> None:
        endpoint = Endpoint(KEY)
        answer = await endpoint.ask("POST", target)
        assert answer.status == 401
        challenges = answer.headers.get_all("WWW-Authenticate")
        assert [challenge.split()[0] for challenge in challenges] == schemes
        assert (endpoint.sink.items, endpoint.sink.refreshed) == ([], 0)

    @pytest.mark.parametrize(
        ("target", "field", "status"),
        [
            ("/publish/", ("Fastly-Key", "wrong"), 403),
            ("/publish/", ("Fastly-Key", "\udcff"), 403),
            ("/publish/", ("Authorization", "Basic " + base64.b64encode(b"x:no").decode()), 403),
            ("/publish/", ("Authorization", "Basic !"), 401),
            ("/publish/", ("Authorization", f"Digest {KEY}"), 401),
            ("/abc/publish/", ("Fastly-Key", KEY), 401),
            ("/service/abc/publish/", ("Authorization", BASIC), 401),
        ],
    )
    async def test_who_knows_another_key_may_not(
        self, target: str, field: tuple[str, str], status: int
    ) -> None:
        endpoint = Endpoint(KEY)
        answer = await endpoint.ask("POST", target, field)
        assert answer.status == status
        assert KEY not in answer.body.decode()
        assert endpoint.sink.items == []

    async def test_without_a_key_any_credentials_do(self) -> None:
        answer = await Endpoint().ask("POST", "/abc/publish/", ("Authorization", "Basic !"))
        assert answer.status == 200


@pytest.mark.parametrize(
    "formats",
    [
        {"http-stream": {"content": "12345"}},
        {"ws-message": {"content-bin": "MTIzNDU="}},
        {"http-response": {"body": "12345"}, "http-stream": {"content": "1"}},
    ],
)
async def test_what_production_would_not_take_is_told_once(
    formats: dict[str, object], caplog: pytest.LogCaptureFixture
) -> None:
    """compute-host §8, Fanout message: it is published all the same."""
    endpoint = Endpoint(tell_above=4)
    small = {"items": [{"channel": "room", "formats": {"http-stream": {"content": "1234"}}}]}
    await endpoint.ask(body=json.dumps(small).encode())
    assert caplog.messages == []
    large = json.dumps({"items": [{"channel": "room", "formats": formats}]}).encode()
    for _ in range(2):
        answer = await endpoint.ask(body=large)
        assert (answer.status, answer.body) == (200, b"Published\n")
    [message] = caplog.messages
    assert "a message has 5 bytes; production takes 4" in message
