"""The tables of the hold machines are true: events lead where they say, and nowhere else."""

from hypothesis import given
from hypothesis import strategies as st

from grip import hold
from grip.headers import Headers
from grip.instruct import Channel, Hold, HoldMode, Instruct, KeepAlive, KeepAliveMode, Link
from grip.items import Action, HttpResponseFormat, HttpStreamFormat, Item
from grip.response_hold import ResponseHold
from grip.stream_hold import StreamHold

NAMES = st.sampled_from(["room", "hall"])
IDS = st.none() | st.sampled_from(["1", "2", "3"])
FILTERS = st.lists(
    st.sampled_from(["skip-self", "var-subst", "build-id", "unknown"]), max_size=2
).map(tuple)
CONTENT = st.sampled_from([b"", b"x", b"%(user)s", b"%(missing)s", b"%I", b"%(a)I"])
CHANCES = st.floats(0, 1, exclude_max=True)
LASTS = st.dictionaries(NAMES, st.sampled_from(["1", "2"]))
CHANNELS = st.builds(Channel, name=NAMES, prev_id=IDS, filters=FILTERS)
BEATS = st.builds(
    KeepAlive,
    content=st.just(b"beat"),
    timeout_s=st.integers(1, 60),
    mode=st.sampled_from(KeepAliveMode),
)


def instructs(*modes: HoldMode | None) -> st.SearchStrategy[Instruct]:
    def build(
        mode: HoldMode | None,
        channels: list[Channel],
        beat: KeepAlive | None,
        link: Link | None,
        meta: dict[str, str],
    ) -> Instruct:
        return Instruct(
            hold=None
            if mode is None
            else Hold(mode=mode, channels=tuple(channels), keep_alive=beat),
            next_link=link,
            gone_link=None,
            status=200,
            reason="OK",
            headers=Headers(),
            body=None,
            meta=meta,
        )

    return st.builds(
        build,
        st.sampled_from(modes),
        st.lists(CHANNELS, max_size=2, unique_by=lambda channel: channel.name),
        st.none() | BEATS,
        st.none() | st.builds(Link, uri=st.sampled_from(["next", "/a"]), timeout_s=st.just(120)),
        st.dictionaries(st.sampled_from(["user", "id_format"]), st.just("%(room)s")),
    )


ITEMS = st.builds(
    lambda content, action, filters, **fields: Item(
        http_stream=HttpStreamFormat(content=content, action=action, content_filters=filters),
        http_response=HttpResponseFormat(body=content, action=action, content_filters=filters),
        **fields,
    ),
    CONTENT,
    st.sampled_from(Action),
    st.none() | FILTERS,
    channel=NAMES,
    id=IDS,
    prev_id=IDS,
)
COMMON = (
    st.builds(hold.Published, ITEMS)
    | st.just(hold.Refresh())
    | st.builds(hold.Tick, CHANCES)
    | st.just(hold.Gone())
    | st.just(hold.Shutdown())
)
POLL_EVENTS = (
    COMMON
    | st.builds(hold.Held, instructs(HoldMode.RESPONSE), CONTENT, LASTS)
    | st.just(hold.Answered())
)
STREAM_EVENTS = (
    COMMON
    | st.builds(hold.Reply, instructs(None, *HoldMode))
    | st.builds(hold.Data, CONTENT)
    | st.builds(hold.ReplyEnd, LASTS, CHANCES)
    | st.builds(hold.ReplyBroke, CHANCES)
    | st.builds(hold.Failed, CHANCES)
)


def drive(machine: ResponseHold | StreamHold, events: list[tuple[object, float]]) -> None:
    """Send the events the table allows, and see that it tells the truth."""
    now = 0.0
    for event, passed in events:
        rules = machine.RULES[machine.state]
        if type(event) not in rules:
            continue
        now += passed
        over = machine.state.name == "OVER"
        actions = machine.handle(event, now)  # type: ignore[arg-type]  # as the table allows
        assert machine.state in rules[type(event)].to
        assert not (over and actions)
        ends = [action for action in actions if isinstance(action, END)]
        if ends:
            assert ends == [actions[-1]]
            assert machine.state.name == "OVER"
        if machine.state.name == "OVER":
            assert machine.deadline is None


END = hold.Finish | hold.Cut | hold.Respond | hold.Fail
PASSING = st.floats(0, 130)


@given(st.lists(st.tuples(POLL_EVENTS, PASSING), max_size=30))
def test_long_poll_goes_where_its_table_says(events: list[tuple[object, float]]) -> None:
    drive(ResponseHold(), events)


@given(st.lists(st.tuples(STREAM_EVENTS, PASSING), max_size=30))
def test_stream_goes_where_its_table_says(events: list[tuple[object, float]]) -> None:
    drive(StreamHold("http://h/"), events)


@given(st.lists(st.tuples(STREAM_EVENTS, PASSING), max_size=30))
def test_tick_at_the_deadline_moves_it(events: list[tuple[object, float]]) -> None:
    """So that a timer set to the deadline cannot turn into a busy loop."""
    stream, now = StreamHold("http://h/"), 0.0
    for event, passed in events:
        now += passed
        if type(event) in stream.RULES[stream.state]:
            stream.handle(event, now)  # type: ignore[arg-type]  # as the table allows
        for _ in range(3):
            if stream.deadline is None:
                break
            now = max(now, stream.deadline)
            stream.handle(hold.Tick(0.5), now)
            assert stream.deadline is None or stream.deadline > now


@given(
    instructs(HoldMode.STREAM),
    st.lists(st.tuples(STREAM_EVENTS, PASSING), max_size=10),
    st.sampled_from(["room", "hall"]),
)
def test_plain_stream_appends_what_is_for_all(
    instruct: Instruct, events: list[tuple[object, float]], channel: str
) -> None:
    """So a driver need not ask: all that changes is when it was appended."""
    stream, now = StreamHold("http://h/"), 0.0
    channels: tuple[str, ...] = ()
    item = Item(channel=channel, id="9", prev_id="8", http_stream=HttpStreamFormat(content=b"x"))
    begin = [(hold.Reply(instruct), 0.0), (hold.ReplyEnd({}, 0.0), 0.0)]
    for event, passed in (*begin, *events):
        now += passed
        if type(event) not in stream.RULES[stream.state]:
            continue
        for action in stream.handle(event, now):  # type: ignore[arg-type]  # as the table allows
            if isinstance(action, hold.Subscribe):
                channels = action.channels
        if stream.plain and channel in channels:
            before = {name: getattr(stream, name) for name in StreamHold.__slots__}
            assert stream.handle(hold.Published(item), now) is hold.AS_PUBLISHED
            after = {name: getattr(stream, name) for name in StreamHold.__slots__}
            assert after.pop("appended_at") in (now, before.pop("appended_at"))
            assert after == before
            assert stream.plain
