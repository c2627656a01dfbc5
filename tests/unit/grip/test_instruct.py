"""Instructions understood: headers (GRIP §3) and JSON (§4)."""

import json
from typing import Any

import pytest

from grip.errors import RemoteProtocolError
from grip.headers import Headers
from grip.instruct import (
    Channel,
    Hold,
    HoldMode,
    Instruct,
    KeepAlive,
    KeepAliveMode,
    Link,
    has_instructions,
    parse_instruct,
    usual_reason,
)

STREAM = ("Grip-Hold", "stream")
POLL = ("Grip-Hold", "response")
JSON = ("Content-Type", "application/grip-instruct")


def by_headers(*fields: tuple[str, str], status: int = 200, reason: str = "OK") -> Instruct:
    return parse_instruct(status=status, reason=reason, headers=Headers(fields), body=None)


def held(*fields: tuple[str, str]) -> Hold:
    hold = by_headers(POLL, *fields).hold
    assert hold is not None
    return hold


def by_json(
    document: object, *fields: tuple[str, str], status: int = 200, reason: str = "OK"
) -> Instruct:
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    headers = Headers([JSON, *fields])
    return parse_instruct(status=status, reason=reason, headers=headers, body=body)


def held_json(**fields: object) -> Hold:
    hold = by_json({"hold": {"channels": []} | fields}).hold
    assert hold is not None
    return hold


class TestDetection:
    """GRIP §3.1."""

    @pytest.mark.parametrize(
        ("field", "expected"),
        [
            (("Grip-Hold", "x"), True),
            (("GRIP-anything", ""), True),
            (("Gripe", "x"), False),
            (("X-Grip-Hold", "x"), False),
            (("Content-Type", "application/grip-instruct"), True),
            (("content-type", "Application/Grip-Instruct ; charset=utf-8"), True),
            (("Content-Type", "application/grip-instruct-not"), False),
            (("Content-Type", "text/plain"), False),
        ],
    )
    def test_has_instructions(self, field: tuple[str, str], expected: bool) -> None:
        assert has_instructions(Headers([("X", "y"), field])) is expected

    def test_without_hold_and_link_the_reply_is_the_response(self) -> None:
        instruct = by_headers(("Grip-Unknown", "x"), ("X", "y"), status=404, reason="Gone Fishing")
        assert instruct == Instruct(
            hold=None,
            next_link=None,
            gone_link=None,
            status=404,
            reason="Gone Fishing",
            headers=Headers([("X", "y")]),
            body=None,
            meta={},
        )


class TestHold:
    """GRIP §3.3: `Grip-Hold`, `Grip-Timeout`, `Grip-Keep-Alive`."""

    def test_modes(self) -> None:
        assert held().mode is HoldMode.RESPONSE
        hold = by_headers(STREAM).hold
        assert hold is not None
        assert hold.mode is HoldMode.STREAM

    @pytest.mark.parametrize("mode", ["", "Stream", "forever", "stream, response"])
    def test_other_modes(self, mode: str) -> None:
        with pytest.raises(RemoteProtocolError):
            by_headers(("Grip-Hold", mode))

    def test_first_field_counts(self) -> None:
        assert held(STREAM).mode is HoldMode.RESPONSE
        assert held(("Grip-Timeout", "7"), ("Grip-Timeout", "x")).timeout_s == 7

    @pytest.mark.parametrize(
        ("value", "timeout_s"), [(None, 55), ("60", 60), ("5", 5), ("4", 5), ("0", 5)]
    )
    def test_timeout(self, value: str | None, timeout_s: int) -> None:
        fields = [] if value is None else [("Grip-Timeout", value)]
        assert held(*fields).timeout_s == timeout_s

    @pytest.mark.parametrize("value", ["", "x", "-1", "5.5", "5s", "99999999999"])
    def test_bad_timeout(self, value: str) -> None:
        with pytest.raises(RemoteProtocolError):
            held(("Grip-Timeout", value))

    def test_keep_alive(self) -> None:
        expected = KeepAlive(content=b"\n", timeout_s=20)
        assert held(("Grip-Keep-Alive", r"\n; format=cstring; timeout=20")).keep_alive == expected
        assert held(("Grip-Keep-Alive", "")).keep_alive is None
        with pytest.raises(RemoteProtocolError):
            held(("Grip-Keep-Alive", "x; mode=y"))


class TestChannels:
    """GRIP §3.3: `Grip-Channel`."""

    def test_list_over_several_fields(self) -> None:
        hold = held(("Grip-Channel", "a, b; prev-id=1"), ("grip-channel", "c"))
        assert hold.channels == (
            Channel(name="a"),
            Channel(name="b", prev_id="1"),
            Channel(name="c"),
        )

    def test_filters_in_order(self) -> None:
        hold = held(("Grip-Channel", 'a; filter=skip-self; Prev-ID="x, y"; filter="var-subst"'))
        assert hold.channels == (
            Channel(name="a", prev_id="x, y", filters=("skip-self", "var-subst")),
        )

    def test_parameter_filter_is_compared_with_case(self) -> None:
        assert held(("Grip-Channel", "a; Filter=skip-self")).channels[0].filters == ()

    def test_quotes_are_part_of_the_name(self) -> None:
        assert held(("Grip-Channel", '"x"')).channels[0].name == '"x"'

    def test_names_are_utf8(self) -> None:
        assert held(("Grip-Channel", "zimmer-ü")).channels[0].name == "zimmer-ü"
        with pytest.raises(RemoteProtocolError, match="UTF-8"):
            held(("Grip-Channel", "zimmer-\udcfc"))

    def test_twice_is_once_with_what_was_said_last(self) -> None:
        hold = held(("Grip-Channel", "a; prev-id=1, b, a; prev-id=2"))
        assert hold.channels == (Channel(name="a", prev_id="2"), Channel(name="b"))

    def test_channels_beyond_the_twentieth_are_ignored(self) -> None:
        names = [f"c{number}" for number in range(25)]
        hold = held(("Grip-Channel", ", ".join(names)))
        assert [channel.name for channel in hold.channels] == names[:20]

    def test_more_than_five_filters_are_an_error(self) -> None:
        """GRIP §10."""
        assert len(held(("Grip-Channel", "a" + "; filter=x" * 5)).channels[0].filters) == 5
        with pytest.raises(RemoteProtocolError, match="filters"):
            held(("Grip-Channel", "a" + "; filter=x" * 6))

    def test_without_channels(self) -> None:
        assert held().channels == ()
        assert held(("Grip-Channel", " ,, ")).channels == ()

    def test_quotes_that_are_not_closed(self) -> None:
        with pytest.raises(RemoteProtocolError):
            held(("Grip-Channel", 'a; prev-id="1'))


class TestResponse:
    """GRIP §3.3: what becomes of the reply."""

    @pytest.mark.parametrize(
        ("value", "status", "reason"),
        [
            ("201", 201, "Created"),
            ("201 Made Up", 201, "Made Up"),
            ("201 ", 201, "Created"),
            ("299", 299, "Undefined Reason"),
            ("0", 0, "Undefined Reason"),
            ("999 x", 999, "x"),
            ("", 404, "Lost"),
        ],
    )
    def test_status(self, value: str, status: int, reason: str) -> None:
        instruct = by_headers(("Grip-Status", value), status=404, reason="Lost")
        assert (instruct.status, instruct.reason) == (status, reason)

    @pytest.mark.parametrize("value", ["x", "1000", "-1", "20x", " 20 1x 5"])
    def test_bad_status(self, value: str) -> None:
        with pytest.raises(RemoteProtocolError):
            by_headers(("Grip-Status", value))

    def test_usual_reasons(self) -> None:
        assert usual_reason(404) == "Not Found"
        assert usual_reason(299) == "Undefined Reason"
        assert by_headers(STREAM, status=503, reason="").reason == "Service Unavailable"

    def test_grip_headers_and_length_are_removed(self) -> None:
        instruct = by_headers(STREAM, ("X", "1"), ("grip-x", "2"), ("content-LENGTH", "3"))
        assert list(instruct.headers) == [("X", "1")]

    @pytest.mark.parametrize(
        ("values", "names"),
        [(["b"], ["B"]), (["a", "C"], ["A", "C"]), (["A ,c"], ["A", "C"]), ([""], ["A", "B", "C"])],
    )
    def test_exposed_headers(self, values: list[str], names: list[str]) -> None:
        fields = [("A", "1"), ("B", "2"), ("C", "3")]
        exposed = [("Grip-Expose-Headers", value) for value in values]
        instruct = by_headers(STREAM, *fields, *exposed)
        assert [name for name, _ in instruct.headers] == names

    def test_metadata(self) -> None:
        instruct = by_headers(
            ("Grip-Set-Meta", 'user=alice, id_format="a;b,c"'), ("Grip-Set-Meta", "x; y=z")
        )
        assert instruct.meta == {"user": "alice", "id_format": "a;b,c", "x": ""}


class TestLinks:
    """GRIP §7."""

    def test_next(self) -> None:
        assert by_headers(("Grip-Link", "</n?a=1>; rel=next")).next_link == Link(uri="/n?a=1")
        link = by_headers(("Grip-Link", "<http://h:1/n>; timeout=5; rel=next")).next_link
        assert link == Link(uri="http://h:1/n", timeout_s=5)
        assert by_headers(("Grip-Link", "</n o>; rel=next")).next_link == Link(uri="/n o")

    def test_gone(self) -> None:
        instruct = by_headers(("Grip-Link", "</n>; rel=next, </g>; rel=gone"))
        assert (instruct.next_link, instruct.gone_link) == (Link(uri="/n"), Link(uri="/g"))

    @pytest.mark.parametrize("value", ["</n>", "</n>; rel=other", "n; rel=other", "n; x=y"])
    def test_others_are_ignored(self, value: str) -> None:
        instruct = by_headers(("Grip-Link", value))
        assert (instruct.next_link, instruct.gone_link) == (None, None)

    @pytest.mark.parametrize(
        "value",
        [
            "/n; rel=next",
            "<>; rel=next",
            "<; rel=next",
            "</n; rel=gone",
            '</n"o>; rel=next',
            "</a,b>; rel=next",
            "<http://[::1>; rel=next",
            "<http://h:port/>; rel=next",
            "<http://h:99999/>; rel=next",
            "</n>; rel=next; timeout=x",
            "</n>; rel=next; timeout=-1",
        ],
    )
    def test_faults(self, value: str) -> None:
        with pytest.raises(RemoteProtocolError):
            by_headers(("Grip-Link", value))


class TestJson:
    """GRIP §4."""

    def test_everything(self) -> None:
        instruct = by_json(
            {
                "hold": {
                    "mode": "stream",
                    "channels": [
                        {"name": "room", "prev-id": "1", "filters": ["skip-self"]},
                        {"name": "hall, too"},
                    ],
                    "timeout": "60",
                    "keep-alive": {"content": "\n", "timeout": 20},
                    "meta": {"user": "alice"},
                },
                "response": {
                    "code": "201",
                    "reason": "Made Up",
                    "headers": [["A", "1"], ["A", "2"]],
                    "body": "text",
                },
            },
            ("X-Outer", "1"),
        )
        assert instruct == Instruct(
            hold=Hold(
                mode=HoldMode.STREAM,
                channels=(
                    Channel(name="room", prev_id="1", filters=("skip-self",)),
                    Channel(name="hall, too"),
                ),
                timeout_s=60,
                keep_alive=KeepAlive(content=b"\n", timeout_s=20, mode=KeepAliveMode.INTERVAL),
            ),
            next_link=None,
            gone_link=None,
            status=201,
            reason="Made Up",
            headers=Headers([("A", "1"), ("A", "2")]),
            body=b"text",
            meta={"user": "alice"},
        )

    def test_defaults(self) -> None:
        assert held_json() == Hold(mode=HoldMode.RESPONSE)
        instruct = by_json({"response": {"body": ""}})
        assert (instruct.status, instruct.reason, list(instruct.headers)) == (200, "OK", [])
        assert (instruct.hold, instruct.body) == (None, b"")

    def test_minimum_timeout(self) -> None:
        assert held_json(timeout=1).timeout_s == 5

    @pytest.mark.parametrize(
        ("fields", "expected"),
        [
            ({}, None),
            ({"content": ""}, None),
            ({"content": "x"}, (b"x", 55)),
            ({"content-bin": "AP8=", "content": "x"}, (b"\x00\xff", 55)),
            ({"content": "x", "timeout": 0}, (b"x", 1)),
        ],
    )
    def test_keep_alive(self, fields: dict[str, object], expected: tuple[bytes, int]) -> None:
        keep_alive = held_json(**{"keep-alive": fields}).keep_alive
        assert (keep_alive and (keep_alive.content, keep_alive.timeout_s)) == expected

    @pytest.mark.parametrize(
        ("response", "head"),
        [
            ({}, (200, "Fine")),
            ({"code": 404}, (404, "Not Found")),
            ({"code": 299}, (299, "Undefined Reason")),
            ({"code": 299, "reason": ""}, (299, "Undefined Reason")),
            ({"reason": "Other"}, (200, "Other")),
        ],
    )
    def test_status_and_reason(self, response: dict[str, object], head: tuple[int, str]) -> None:
        instruct = by_json({"response": {"body": "x"} | response}, reason="Fine")
        assert (instruct.status, instruct.reason) == head

    def test_body_in_base64_wins(self) -> None:
        assert by_json({"response": {"body-bin": "AP8=", "body": "x"}}).body == b"\x00\xff"

    def test_length_and_instructions_among_the_headers_are_ignored(self) -> None:
        response = {"headers": {"Content-Length": "9", "Grip-Hold": "stream", "X": "1"}, "body": ""}
        assert list(by_json({"response": response}).headers) == [("X", "1")]

    def test_headers_of_the_outer_reply_are_obeyed_as_well(self) -> None:
        instruct = by_json(
            {"response": {"headers": {"X": "1"}}},
            STREAM,
            ("Grip-Channel", "room"),
            ("Grip-Link", "</n>; rel=next"),
            ("Grip-Status", "202"),
        )
        assert instruct.hold == Hold(mode=HoldMode.STREAM, channels=(Channel(name="room"),))
        assert instruct.next_link == Link(uri="/n")
        assert instruct.status == 202
        assert list(instruct.headers) == [("X", "1")]

    def test_channels_and_metadata_of_both_are_joined(self) -> None:
        instruct = by_json(
            {"hold": {"channels": [{"name": "b"}], "meta": {"user": "bob"}}},
            ("Grip-Channel", "a"),
            ("Grip-Set-Meta", "user=alice, x=y"),
        )
        assert instruct.hold is not None
        assert [channel.name for channel in instruct.hold.channels] == ["a", "b"]
        assert instruct.meta == {"user": "bob", "x": "y"}

    @pytest.mark.parametrize("document", [{}, {"response": {}}, {"response": {"code": 204}}])
    def test_a_response_that_is_not_held_needs_a_body(self, document: dict[str, Any]) -> None:
        """The quirk of GRIP §4; with a link there is more to come."""
        with pytest.raises(RemoteProtocolError, match="body"):
            by_json(document)
        assert by_json(document, ("Grip-Link", "</n>; rel=next")).body == b""
        assert by_json(document, STREAM).body == b""

    @pytest.mark.parametrize(
        "document",
        [
            b"",
            b"{",
            b"[]",
            b"1",
            b"\xff",
            b'{"hold": {"channels": [{"name": "\\ud800"}]}}',
            {"hold": None},
            {"hold": "stream"},
            {"hold": {}},
            {"hold": {"channels": {}}},
            {"hold": {"channels": [5]}},
            {"hold": {"channels": [{}]}},
            {"hold": {"channels": [{"name": 5}]}},
            {"hold": {"channels": [{"name": "a", "prev-id": None}]}},
            {"hold": {"channels": [{"name": "a", "filters": "x"}]}},
            {"hold": {"channels": [{"name": "a", "filters": [5]}]}},
            {"hold": {"channels": [{"name": "a", "filters": ["x"] * 6}]}},
            {"hold": {"channels": [], "mode": "forever"}},
            {"hold": {"channels": [], "mode": None}},
            {"hold": {"channels": [], "timeout": -1}},
            {"hold": {"channels": [], "timeout": "soon"}},
            {"hold": {"channels": [], "timeout": 10**400}},
            {"hold": {"channels": [], "keep-alive": "x"}},
            {"hold": {"channels": [], "keep-alive": {"content": 5}}},
            {"hold": {"channels": [], "keep-alive": {"content": "x", "timeout": -1}}},
            {"hold": {"channels": [], "meta": {"user": 1}}},
            {"response": 5},
            {"response": {"body": {"a": 1}}},
            {"response": {"body": "", "code": 1000}},
            {"response": {"body": "", "code": None}},
            {"response": {"body": "", "reason": 5}},
            {"response": {"body": "", "reason": "a\r\nb"}},
            {"response": {"body": "", "headers": 5}},
            {"response": {"body": "", "headers": {"a": "b\r\nc: d"}}},
        ],
        ids=str,
    )
    def test_faults(self, document: object) -> None:
        with pytest.raises(RemoteProtocolError) as caught:
            by_json(document)
        assert caught.value.status_hint == 502

    def test_status_of_the_reply_must_be_200(self) -> None:
        with pytest.raises(RemoteProtocolError, match="status 200"):
            by_json({"response": {"body": "x"}}, status=201)

    def test_body_must_be_there_whole(self) -> None:
        with pytest.raises(RemoteProtocolError, match="whole body"):
            by_headers(JSON, STREAM)
