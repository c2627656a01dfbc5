"""Parts of the benchmark that would make others wait, or show nothing, if they were wrong."""

import dataclasses

from bench.figures import shown
from bench.limits import published
from grip.items import HttpStreamFormat, Item, WsMessageFormat, encode_publish


def test_bare_servers_take_both_kinds_of_publishes() -> None:
    """An item has the formats of the connections that are measured, maybe one alone."""
    stream = Item(channel="a", http_stream=HttpStreamFormat(content=b"one\n"))
    socket = Item(channel="b", ws_message=WsMessageFormat(content=b"two"))
    both = dataclasses.replace(stream, channel="c", ws_message=WsMessageFormat(content=b"one\n"))
    found = list(published(encode_publish([stream, socket, both])))
    assert found == [("a", b"one\n"), ("b", b"two"), ("c", b"one\n")]


def test_figures_have_no_exponents() -> None:
    """Four digits before the point are enough, and none of them is lost."""
    assert [shown(value) for value in (59_004.2, 5_000, 999.96, 12.345, 0.8263, 0)] == [
        *("59,004", "5,000", "1000", "12.35", "0.8263", "0")
    ]
