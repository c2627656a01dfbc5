"""`django-eventstream` (PyPI) as it is, in a Django project served by ASGI: nothing gets lost."""

import contextlib
import json
import socket
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping

import pytest

from tests.support.serving import serving
from tests.support.sites import Site

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.slow]

APPLICATION = "tests.integration.clients.backends.django_eventstream_app:application"


@contextlib.contextmanager
def serve(listening: socket.socket, environment: Mapping[str, str]) -> Iterator[None]:
    with tempfile.TemporaryDirectory() as folder:
        database = {"DATABASE": f"{folder}/events.sqlite"}
        with serving(APPLICATION, listening, {**environment, **database}):
            yield


@pytest.fixture
def room(request: pytest.FixtureRequest) -> str:
    """A room nobody else uses. The library cannot recover if `%` is needed to quote its name."""
    return str(request.function.__name__)


async def send(site: Site, room: str, *texts: str, lost: bool = False) -> None:
    form = {"room": room, "text": list(texts), "lost": "yes" if lost else ""}
    answer = await site.http.post(f"{site.direct}/send", data=form)
    assert answer.text == "sent\n"


class Events:
    """The events of a room, as `EventSource` would see them."""

    def __init__(self, lines: AsyncIterator[str]) -> None:
        self._lines = lines

    async def next(self, kind: str = "message") -> tuple[str | None, str]:
        """Return id and data of the next event, which has to be of a kind; keep-alives excepted."""
        fields: dict[str, str] = {}
        async for line in self._lines:
            name, _, value = line.partition(": ")
            if line == "":
                if fields.get("event") not in (None, "keep-alive"):
                    assert fields["event"] == kind
                    return fields.get("id"), fields["data"]
                fields = {}
            elif name:
                fields[name.removesuffix(":")] = value
        raise EOFError

    async def texts(self, count: int) -> list[str]:
        return [json.loads((await self.next())[1])["text"] for _ in range(count)]


@contextlib.asynccontextmanager
async def listening(site: Site, room: str, last_id: str | None = None) -> AsyncIterator[Events]:
    headers = {} if last_id is None else {"Last-Event-ID": last_id}
    room_only = {"channel": room}
    async with site.http.stream("GET", "/events/", params=room_only, headers=headers) as stream:
        assert stream.headers["content-type"] == "text/event-stream"
        events = Events(stream.aiter_lines())
        await events.next("stream-open")
        yield events


async def test_events_come_with_ids_made_by_the_proxy(site: Site, room: str) -> None:
    async with listening(site, room) as events:
        await send(site, room, "grüße 100% %I", "two")
        first, second = await events.next(), await events.next()
    assert first == (f"{room}:1", '{"text": "gr\\u00fc\\u00dfe 100% %I"}')
    assert second == (f"{room}:2", '{"text": "two"}')


async def test_who_comes_back_gets_what_was_missed(site: Site, room: str) -> None:
    async with listening(site, room) as events:
        await send(site, room, "1", "2")
        assert await events.texts(1) == ["1"]
        last_id, _ = await events.next()
    await send(site, room, "3", "4")
    async with listening(site, room, last_id) as events:
        await send(site, room, "5")
        assert await events.texts(3) == ["3", "4", "5"]


async def test_lost_publishes_are_fetched_by_the_next_link(site: Site, room: str) -> None:
    async with listening(site, room) as events:
        await send(site, room, "1")
        await send(site, room, "2", "3", lost=True)
        await send(site, room, "4", "5")
        assert await events.texts(5) == ["1", "2", "3", "4", "5"]
        await send(site, room, "6", lost=True)
        await send(site, room, "7")
        assert await events.texts(2) == ["6", "7"]


async def test_long_history_comes_by_following_links(site: Site, room: str) -> None:
    history = [str(number) for number in range(210)]
    await send(site, room, *history, lost=True)
    async with listening(site, room, f"{room}:0") as events:
        assert await events.texts(210) == history
        await send(site, room, "and on")
        assert await events.texts(1) == ["and on"]


async def test_unknown_last_id_is_told(site: Site, room: str) -> None:
    await send(site, room, "1")
    async with listening(site, room, f"{room}:77") as events:
        assert room in (await events.next("stream-reset"))[1]


async def test_closing_a_room_ends_its_streams_and_no_others(site: Site, room: str) -> None:
    async with listening(site, f"{room}_too") as others, listening(site, room) as events:
        answer = await site.http.post(f"{site.direct}/close", data={"room": room})
        assert answer.text == "closed\n"
        assert "forbidden" in (await events.next("stream-error"))[1]
        with pytest.raises(EOFError):
            await events.next()
        await send(site, f"{room}_too", "still here")
        assert await others.texts(1) == ["still here"]
