"""Filters of a subscription: which items it gets, and how their content is changed."""

from tests.conformance.gripkit import (
    ExpectBodyPart,
    ExpectResponse,
    ExpectRestOfBody,
    Publish,
    PublishUntilAnswered,
    Reply,
    Request,
    Scenario,
    hold,
    item,
)

OPEN_STREAM = [Request(), ExpectResponse(200)]


def filtered_stream(filters: str, *meta: str, body: bytes = b"", channels: str = "") -> Reply:
    """Return a reply that subscribes a stream to a room with filters and metadata."""
    parameters = "".join(f"; filter={name}" for name in filters.split())
    headers = [("Grip-Set-Meta", pair) for pair in meta]
    return hold("stream", "{{room}}" + parameters + channels, headers=headers, body=body)


SCENARIOS = [
    Scenario(
        id="filter.skip-self",
        about="Items whose sender is the user of the subscription are skipped.",
        replies=[filtered_stream("skip-self", "user=alice")],
        steps=[
            *OPEN_STREAM,
            Publish(item("{{room}}", stream="own;", meta={"sender": "alice"})),
            Publish(item("{{room}}", stream="other;", meta={"sender": "bob"})),
            Publish(item("{{room}}", stream="anonymous;")),
            ExpectBodyPart(b"other;anonymous;"),
        ],
    ),
    Scenario(
        id="filter.skip-users",
        about="Items whose list of users to skip has the user of the subscription are skipped.",
        replies=[filtered_stream("skip-users", "user=alice")],
        steps=[
            *OPEN_STREAM,
            Publish(item("{{room}}", stream="skipped;", meta={"skip_users": "bob, alice"})),
            Publish(item("{{room}}", stream="other;", meta={"skip_users": "bob,carol"})),
            ExpectBodyPart(b"other;"),
        ],
    ),
    Scenario(
        id="filter.require-sub",
        about="Items that require a channel reach only connections that subscribe to it as well.",
        replies=[filtered_stream("require-sub", channels=", {{other}}")],
        steps=[
            *OPEN_STREAM,
            Publish(item("{{room}}", stream="refused;", meta={"require_sub": "{{missing}}"})),
            Publish(item("{{room}}", stream="granted;", meta={"require_sub": "{{other}}"})),
            Publish(item("{{room}}", stream="free;")),
            ExpectBodyPart(b"granted;free;"),
        ],
    ),
    Scenario(
        id="filter.var-subst",
        about="Placeholders in content are replaced by metadata, but not in the reply.",
        replies=[filtered_stream("var-subst", "user=alice", body=b"%(user)s;")],
        steps=[
            *OPEN_STREAM,
            ExpectBodyPart(b"%(user)s;"),
            Publish(item("{{room}}", stream="100%% for %(user)s;")),
            ExpectBodyPart(b"100% for alice;"),
        ],
    ),
    Scenario(
        id="filter.var-subst-unknown",
        about="A placeholder without metadata ends the stream.",
        replies=[filtered_stream("var-subst", "user=alice")],
        steps=[
            *OPEN_STREAM,
            Publish(item("{{room}}", stream="hello;")),
            Publish(item("{{room}}", stream="%(missing)s;")),
            ExpectRestOfBody(b"hello;"),
        ],
    ),
    Scenario(
        id="filter.var-subst-poll-unknown",
        about="A placeholder without metadata answers a long poll with a 502.",
        replies=[hold("response", "{{room}}; filter=var-subst")],
        steps=[
            Request(),
            PublishUntilAnswered(item("{{room}}", response="hello %(missing)s")),
            ExpectResponse(502, body=b"Error while proxying to origin.\n"),
        ],
    ),
    Scenario(
        id="filter.build-id",
        about="%I in content becomes an id built from the ids of all channels.",
        replies=[
            hold(
                "stream",
                "{{room}}; prev-id=7; filter=build-id",
                headers=[
                    ("Grip-Set-Meta", 'id_format="room=%({{room}})s"'),
                    ("Grip-Link", "<{{path}}/next>; rel=next"),
                ],
            )
        ],
        steps=[
            *OPEN_STREAM,
            Publish(item("{{room}}", stream="id: %I;", id="8", prev_id="7")),
            ExpectBodyPart(b"id: room=8;"),
        ],
    ),
    Scenario(
        id="filter.several",
        about="A channel can have several filters; they are applied in their order.",
        replies=[filtered_stream("skip-self var-subst", "user=alice")],
        steps=[
            *OPEN_STREAM,
            Publish(item("{{room}}", stream="own;", meta={"sender": "alice"})),
            Publish(item("{{room}}", stream="for %(user)s;", meta={"sender": "bob"})),
            ExpectBodyPart(b"for alice;"),
        ],
    ),
    Scenario(
        id="filter.meta-list",
        about="A Grip-Set-Meta header can set several values.",
        replies=[filtered_stream("var-subst", "first=1, second=2")],
        steps=[
            *OPEN_STREAM,
            Publish(item("{{room}}", stream="%(first)s %(second)s;")),
            ExpectBodyPart(b"1 2;"),
        ],
    ),
    Scenario(
        id="filter.unknown",
        about="Unknown filters are ignored.",
        replies=[filtered_stream("no-such-filter")],
        steps=[
            *OPEN_STREAM,
            Publish(item("{{room}}", stream="delivered;")),
            ExpectBodyPart(b"delivered;"),
        ],
    ),
    Scenario(
        id="filter.content-filters",
        about="An item may say which content filters it expects; if they differ, the stream ends.",
        replies=[filtered_stream("skip-self var-subst", "user=alice")],
        steps=[
            *OPEN_STREAM,
            Publish(
                item(
                    "{{room}}",
                    stream={"content": "for %(user)s;", "content-filters": ["var-subst"]},
                )
            ),
            ExpectBodyPart(b"for alice;"),
            Publish(item("{{room}}", stream={"content": "plain;", "content-filters": []})),
            ExpectRestOfBody(),
        ],
    ),
]
