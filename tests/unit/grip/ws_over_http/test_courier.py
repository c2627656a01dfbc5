"""Requests to a backend, one at a time (GRIP §11.2, §11.3, §11.5, §11.7, §11.8)."""

import pytest

from grip.errors import RemoteProtocolError
from grip.headers import Headers
from grip.ws_over_http.courier import MAX_META, RETRY_DELAYS_S, Courier
from grip.ws_over_http.events import Open, Text, encode_events
from grip.ws_over_http.steps import Ask


def ask(courier: Courier) -> Ask:
    (request,) = courier.proceed()
    return request


def reply(courier: Courier, *fields: tuple[str, str], now: float = 0.0) -> None:
    courier.settle(Headers(fields), b"", now)


def test_a_request_has_the_fields_of_the_protocol() -> None:
    courier = Courier("abc")
    courier.add(Open())
    request = ask(courier)
    assert list(request.headers) == [
        ("Accept", "application/websocket-events"),
        ("Content-Type", "application/websocket-events"),
        ("Sec-WebSocket-Extensions", "grip"),
        ("Connection-Id", "abc"),
    ]
    assert request.body == b"OPEN\r\n"


def test_one_request_at_a_time_with_all_that_has_come() -> None:
    courier = Courier("abc")
    assert courier.proceed() == ()
    courier.add(Text(b"a"))
    assert not courier.idle
    ask(courier)
    courier.add(Text(b"b"))
    courier.add(Text(b"c"))
    assert courier.proceed() == ()
    reply(courier)
    assert ask(courier).body == encode_events([Text(b"b"), Text(b"c")])
    reply(courier)
    assert courier.proceed() == ()


def test_metadata_goes_with_every_request_until_it_is_removed() -> None:
    courier = Courier("abc")
    courier.add(Open())
    ask(courier)
    reply(courier, ("Set-Meta-User", "alice"), ("set-meta-room", "1"))
    courier.add(Text(b"a"))
    assert list(ask(courier).headers)[4:] == [("Meta-User", "alice"), ("Meta-room", "1")]
    reply(courier, ("SET-META-USER", "bob"), ("Set-Meta-Room", ""))
    courier.add(Text(b"a"))
    assert list(ask(courier).headers)[4:] == [("Meta-USER", "bob")]


def test_metadata_is_limited() -> None:
    courier = Courier("abc")
    courier.add(Open())
    ask(courier)
    reply(courier, *((f"Set-Meta-{number}", "x") for number in range(MAX_META + 1)))
    courier.refresh()
    assert len(ask(courier).headers) == 4 + MAX_META


def test_a_refresh_makes_a_request_without_events() -> None:
    """GRIP §8.4."""
    courier = Courier("abc")
    courier.refresh()
    assert ask(courier).body == b""
    courier.refresh()
    assert courier.proceed() == ()
    reply(courier)
    assert ask(courier).body == b""


def test_the_backend_is_asked_after_the_interval() -> None:
    """GRIP §11.3: counted from the last reply, at least 20 seconds, until told otherwise."""
    courier = Courier("abc")
    courier.add(Open())
    ask(courier)
    assert not courier.waits
    reply(courier, ("Keep-Alive-Interval", "5"), now=100.0)
    assert courier.deadline == 120.0
    assert courier.tick(119.9) == ()
    (request,) = courier.tick(120.0)
    assert request.body == b""
    assert courier.tick(1000.0) == ()
    reply(courier, now=121.0)
    assert courier.deadline == 141.0
    courier.add(Text(b"a"))
    ask(courier)
    reply(courier, ("Keep-Alive-Interval", "0"))
    assert courier.tick(1000.0) == ()


def test_an_event_can_be_repeated_until_it_is_answered() -> None:
    """GRIP §11.4, §11.6: OPEN and CLOSE."""
    courier = Courier("abc")
    courier.add(Open())
    courier.repeats = Open()
    ask(courier)
    reply(courier, ("Keep-Alive-Interval", "20"))
    (request,) = courier.tick(20.0)
    assert request.body == b"OPEN\r\n"


def test_polling_can_be_stopped_for_good() -> None:
    courier = Courier("abc")
    courier.add(Open())
    ask(courier)
    reply(courier, ("Keep-Alive-Interval", "20"))
    courier.stop_polling()
    courier.add(Text(b"a"))
    ask(courier)
    reply(courier, ("Keep-Alive-Interval", "20"))
    assert not courier.waits


def test_a_request_that_did_not_arrive_is_repeated() -> None:
    """GRIP §11.7: the same request; what comes meanwhile waits."""
    courier = Courier("abc")
    courier.add(Text(b"a"))
    request = ask(courier)
    now = 0.0
    for delay in RETRY_DELAYS_S:
        assert courier.postpone(0.5, now)
        courier.add(Text(b"later"))
        assert courier.proceed() == ()
        assert courier.deadline == now + delay + 0.5
        assert courier.tick(courier.deadline - 0.1) == ()
        now = courier.deadline
        assert courier.tick(now) == (request,)
    assert not courier.postpone(0.5, now)


def test_a_reply_ends_the_series_of_repetitions() -> None:
    courier = Courier("abc")
    courier.add(Text(b"a"))
    ask(courier)
    assert courier.postpone(0.0, 0.0)
    assert courier.postpone(0.0, 1.0)
    reply(courier)
    courier.add(Text(b"b"))
    ask(courier)
    assert courier.postpone(0.0, 10.0)
    assert courier.deadline == 11.0


def test_content_kept_back_goes_again_with_what_is_new() -> None:
    """GRIP §11.8."""
    courier = Courier("abc")
    courier.add(Text(b"abc"))
    ask(courier)
    reply(courier, ("Content-Bytes-Accepted", "1"))
    assert courier.idle
    courier.add(Text(b"d"))
    request = ask(courier)
    assert request.headers.get("Content-Bytes-Replayed") == "2"
    assert request.body == encode_events([Text(b"bc"), Text(b"d")])
    with pytest.raises(RemoteProtocolError):
        reply(courier, ("Content-Bytes-Accepted", "4"))


def test_everything_can_be_forgotten() -> None:
    courier = Courier("abc")
    courier.add(Text(b"a"))
    ask(courier)
    courier.add(Text(b"b"))
    courier.postpone(0.0, 0.0)
    courier.forsake()
    assert courier.idle
    assert not courier.waits
