"""The target `test` of a Pushpin's routes."""

import pytest

from host_sim.fanout.test_target import reply_to
from tests.support.requests import request


@pytest.mark.parametrize(
    ("target", "status", "hold", "channels"),
    [
        ("/", 200, None, []),
        ("/response", 200, "response", ["test"]),
        ("/stream/", 200, "stream", ["test"]),
        ("/stream?channel=a&channel=b", 200, "stream", ["a", "b"]),
        ("/other", 404, None, []),
    ],
)
async def test_reply(target: str, status: int, hold: str | None, channels: list[str]) -> None:
    response = reply_to(request("GET", target))
    assert response.status == status
    assert response.headers.get("Grip-Hold") == hold
    assert response.headers.get_all("Grip-Channel") == channels
    assert await response.body.whole(99)
