"""HTTP's rules for caches: what is kept, for how long, how it is validated, what a client gets."""

import email.utils

import pytest

from grip.headers import Headers, Pair
from host_sim.sandbox.http_caching.delivering import deliver
from host_sim.sandbox.http_caching.directives import directives
from host_sim.sandbox.http_caching.storing import (
    cache_key,
    is_cacheable,
    storage_action,
    suggest,
)
from host_sim.sandbox.http_caching.validating import backend_request, prepare
from host_sim.sandbox.objects.headers import HeaderTable
from host_sim.sandbox.objects.messages import GuestRequest, GuestResponse, Uri

NOW = 1_700_000_000.0
SECOND = 1_000_000_000


def at(offset_s: float) -> str:
    """Return the date so many seconds after `NOW`."""
    return email.utils.formatdate(NOW + offset_s, usegmt=True)


def asked(method: str = "GET", *fields: Pair, uri: str = "http://edge.test/a?b") -> GuestRequest:
    return GuestRequest(method=method, uri=Uri.parse(uri), headers=HeaderTable.of(Headers(fields)))


def came(status: int = 200, *fields: Pair) -> GuestResponse:
    return GuestResponse(status=status, headers=HeaderTable.of(Headers(fields)))


def controlled(value: str, status: int = 200) -> GuestResponse:
    return came(status, ("Cache-Control", value))


def test_directives_are_read_with_quotes_and_the_first_of_a_name_counts() -> None:
    fields = HeaderTable.of(
        Headers([("a", 'Max-Age = "60" ,, private="x, \\"y"'), ("a", "max-age=1, public")])
    )
    assert directives(fields, "a") == {"max-age": "60", "private": 'x, "y', "public": ""}


@pytest.mark.parametrize(
    ("method", "expected"), [("GET", True), ("HEAD", True), ("POST", False), ("get", False)]
)
def test_only_reading_is_cacheable(method: str, expected: bool) -> None:
    assert is_cacheable(asked(method)) is expected


def test_the_key_is_host_and_path() -> None:
    key = cache_key(asked())
    assert len(key) == 32
    assert key == cache_key(asked("HEAD", uri="https://EDGE.test/a?b"))
    assert key == cache_key(asked("GET", ("Host", "Edge.Test"), uri="/a?b"))
    assert key == cache_key(asked("GET", ("Accept", "x")))
    others = [asked(uri=f"http://edge.test{target}") for target in ("/A?b", "/a", "/a?b=")]
    others += [asked("GET", ("Host", "other.test")), asked(uri="http://edge.test:81/a?b")]
    assert key not in [cache_key(other) for other in others]


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        (came(), "insert"),
        (came(404), "insert"),
        (came(302), "insert"),
        (came(418), "do-not-store"),
        (came(500), "do-not-store"),
        (came(206, ("Cache-Control", "max-age=60")), "do-not-store"),
        (came(304), "do-not-store"),
        (controlled("max-age=60", 304), "do-not-store"),
        (came(103, ("Cache-Control", "max-age=60")), "do-not-store"),
        (controlled("max-age=60", 418), "insert"),
        (controlled("s-maxage=60", 500), "insert"),
        (controlled("public", 500), "insert"),
        (came(418, ("Expires", "never")), "insert"),
        (controlled("no-store"), "record-uncacheable"),
        (controlled("No-Store, max-age=60"), "record-uncacheable"),
        (controlled("private"), "record-uncacheable"),
        (controlled('private=""'), "record-uncacheable"),
        (controlled('private="x-user"'), "insert"),
        (controlled("no-cache"), "insert"),
        (controlled("no-store, must-understand"), "insert"),
        (controlled("max-age=60, must-understand", 418), "do-not-store"),
        (came(200, ("Vary", "Accept, *")), "record-uncacheable"),
        (came(200, ("Surrogate-Control", "max-age=9"), ("Cache-Control", "no-store")), "insert"),
        (came(200, ("Surrogate-Control", "no-store")), "record-uncacheable"),
    ],
)
def test_what_is_kept(response: GuestResponse, expected: str) -> None:
    assert storage_action(asked(), response) == expected
    assert storage_action(asked("HEAD"), response) == expected
    assert storage_action(asked("POST"), response) == "do-not-store"


def test_statuses_that_are_kept_without_a_reason() -> None:
    kept = [s for s in range(100, 1000) if storage_action(asked(), came(s)) == "insert"]
    assert kept == [200, 203, 300, 301, 302, 404, 410]


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        (came(), "do-not-store"),
        (controlled("max-age=60"), "do-not-store"),
        (controlled("public"), "insert"),
        (controlled("s-maxage=60"), "insert"),
        (controlled("max-age=0, must-revalidate"), "insert"),
        (came(200, ("Surrogate-Control", "max-age=60")), "insert"),
    ],
)
def test_what_is_kept_of_an_answer_to_somebody(response: GuestResponse, expected: str) -> None:
    """RFC 9111 §3.5."""
    request = asked("GET", ("Authorization", "Bearer x"))
    assert storage_action(request, response) == expected


@pytest.mark.parametrize(
    ("fields", "expected_s"),
    [
        ([], 120),
        ([("Cache-Control", "public")], 120),
        ([("Cache-Control", "max-age=60")], 60),
        ([("Cache-Control", "max-age=60, s-maxage=70")], 70),
        ([("Cache-Control", "s-maxage=70"), ("Surrogate-Control", "max-age=80")], 80),
        ([("Cache-Control", "max-age=60"), ("Surrogate-Control", "x=80")], 60),
        ([("Cache-Control", "max-age=60"), ("Expires", at(90))], 60),
        ([("Expires", at(90))], 90),
        ([("Expires", at(90)), ("Date", at(30))], 60),
        ([("Expires", at(-90))], 0),
        ([("Expires", "0")], 0),
        ([("Expires", "Sunday, 06-Nov-94 08:49:37 GMT")], 0),
        ([("Expires", "Fri, 31 Dec 9999 23:59:59 GMT")], 1 << 31),
        ([("Cache-Control", "max-age=soon")], 0),
        ([("Cache-Control", "max-age=-1")], 0),
        ([("Cache-Control", "max-age=99999999999999999999")], 1 << 31),
        ([("Cache-Control", "max-age=60, no-cache")], 0),
        ([("Cache-Control", 'max-age=60, no-cache="x"')], 60),
        ([("Cache-Control", "max-age=0, private")], 120),
        ([("Cache-Control", "max-age=300, no-store")], 300),
    ],
)
def test_how_long_it_is_fresh(fields: list[Pair], expected_s: int) -> None:
    assert suggest(came(200, *fields), NOW).max_age_ns == expected_s * SECOND


@pytest.mark.parametrize(
    ("fields", "while_revalidate_s", "if_error_s"),
    [
        ([], 0, 0),
        ([("Cache-Control", "stale-while-revalidate=5, stale-if-error=6")], 5, 6),
        (
            [
                ("Cache-Control", "stale-while-revalidate=5, stale-if-error=6"),
                ("Surrogate-Control", "stale-while-revalidate=7"),
            ],
            *(7, 6),
        ),
        ([("Cache-Control", "stale-while-revalidate=5, must-revalidate")], 0, 0),
        ([("Cache-Control", "stale-if-error=5, no-cache")], 0, 0),
        ([("Cache-Control", "s-maxage=1, stale-if-error=5")], 0, 5),
    ],
)
def test_how_long_it_may_be_used_stale(
    fields: list[Pair], while_revalidate_s: int, if_error_s: int
) -> None:
    got = suggest(came(200, *fields), NOW)
    assert got.stale_while_revalidate_ns == while_revalidate_s * SECOND
    assert got.stale_if_error_ns == if_error_s * SECOND


@pytest.mark.parametrize(
    ("fields", "took_s", "expected_s"),
    [
        ([], 0, 0),
        ([("Age", "5")], 0, 5),
        ([("Age", "5")], 2.5, 7),
        ([("Age", "5, 30")], 0, 0),
        ([("Age", "5"), ("Age", "30")], 0, 5),
        ([("Date", at(-40)), ("Age", "5")], 1, 40),
        ([("Date", at(40))], 3, 3),
        ([("Date", "yesterday")], 0, 0),
        ([], 2.9, 2),
    ],
)
def test_how_old_it_is(fields: list[Pair], took_s: float, expected_s: int) -> None:
    """RFC 9111 §4.2.3."""
    got = suggest(came(200, *fields), NOW, NOW - took_s)
    assert got.initial_age_ns == expected_s * SECOND


def test_what_else_is_suggested() -> None:
    fields = [
        ("Vary", "Accept, accept-encoding"),
        ("Vary", "ACCEPT, *, b d"),
        ("Content-Length", "5"),
    ]
    fields += [("Surrogate-Key", "a  b\x7f c"), ("Surrogate-Key", f"a d {'x' * 1025}")]
    got = suggest(came(200, *fields), NOW)
    assert got.vary_rule == "accept accept-encoding"
    assert got.surrogate_keys == "a c d"
    assert (got.length, got.sensitive_data) == (5, False)
    assert suggest(came(200, ("Content-Length", "5, 5")), NOW).length is None


def test_surrogate_keys_are_suggested_up_to_what_can_be_stored() -> None:
    many = " ".join(f"{i:0500}" for i in range(40))
    assert len(suggest(came(200, ("Surrogate-Key", many)), NOW).surrogate_keys) == 32 * 501 - 1


def test_the_backend_is_asked_for_the_whole() -> None:
    conditions = ["Range", "If-Range", "If-Match", "If-None-Match", "If-Modified-Since"]
    conditions += ["If-Unmodified-Since"]
    request = asked("HEAD", ("Accept", "x"), *((name, "1") for name in conditions))
    got = backend_request(request, None)
    assert (got.method, str(got.uri)) == ("GET", "http://edge.test/a?b")
    assert list(got.headers.headers()) == [("accept", "x")]
    assert backend_request(asked("PURGE"), None).method == "PURGE"
    assert request.headers.first("range") == b"1"


def test_the_backend_is_asked_whether_the_stored_response_is_good() -> None:
    stored = came(200, ("ETag", '"1"'), ("Last-Modified", at(-9)))
    got = backend_request(asked("GET", ("If-None-Match", '"0"')), stored)
    expected = [("if-none-match", '"1"'), ("if-modified-since", at(-9))]
    assert list(got.headers.headers()) == expected
    assert list(backend_request(asked(), came()).headers.headers()) == []


STORED = came(
    200,
    *(("ETag", '"1"'), ("Content-Length", "5"), ("X", "old"), ("X", "older"), ("Y", "old")),
    *(("Date", at(-50)), ("Age", "7")),
)


def test_a_304_is_news_about_what_is_stored() -> None:
    """RFC 9111 §3.2, §4.3.4."""
    news = came(
        304,
        *(("ETag", 'W/"1"'), ("Content-Length", "0"), ("X", "new"), ("Keep-Alive", "1")),
        *(("Content-Encoding", "gzip"), ("Content-Range", "bytes 0-1/2")),
    )
    action, merged = prepare(asked(), STORED, news, NOW)
    assert (action, merged.status) == ("update", 200)
    assert list(merged.headers.headers()) == [
        *(("content-length", "5"), ("y", "old"), ("etag", 'W/"1"'), ("x", "new")),
        ("date", at(0)),
    ]
    assert suggest(merged, NOW).initial_age_ns == 0
    assert STORED.headers.first("x") == b"old"


@pytest.mark.parametrize(
    ("stored", "news"),
    [
        (None, came(304)),
        (STORED, came(304, ("ETag", '"2"'))),
        (STORED, came(304, ("Last-Modified", at(0)))),
    ],
)
def test_a_304_about_nothing_stored_stays(
    stored: GuestResponse | None, news: GuestResponse
) -> None:
    action, left = prepare(asked(), stored, news, NOW)
    assert (action, left.status) == ("do-not-store", 304)
    assert left.headers.headers() == news.headers.headers()


def test_what_belongs_to_the_connection_or_one_user_is_not_stored() -> None:
    """RFC 9111 §3.1, §5.2.2.4, §5.2.2.7."""
    response = came(
        200,
        *(("Connection", "X-Hop, close"), ("X-Hop", "1"), ("Transfer-Encoding", "chunked")),
        *(("Cache-Control", 'private="X-User", no-cache="Set-Cookie, X-Seen"'), ("X-User", "1")),
        *(("Set-Cookie", "a=b"), ("X-Seen", "1"), ("X-Left", "1"), ("Date", at(-1))),
    )
    action, adjusted = prepare(asked(), None, response, NOW)
    assert action == "insert"
    assert adjusted.headers.names() == ["cache-control", "x-left", "date"]
    assert adjusted.headers.all("date") == [at(-1).encode()]
    assert response.headers.first("set-cookie") == b"a=b"


@pytest.mark.parametrize("value", ["no-store", "private"])
def test_what_is_not_stored_stays_as_it_is(value: str) -> None:
    response = came(200, ("Cache-Control", value), ("Connection", "x"))
    action, left = prepare(asked(), STORED, response, NOW)
    assert action == "record-uncacheable"
    assert left.headers.headers() == response.headers.headers()
    assert left is not response


WHOLE = came(
    200,
    *(("ETag", '"1"'), ("Last-Modified", at(-90)), ("Date", at(-60)), ("Content-Length", "10")),
    *(("Content-Type", "text/plain"), ("Age", "3")),
)


def delivered(request: GuestRequest, stored: GuestResponse = WHOLE) -> tuple[int, object]:
    got = deliver(request, stored, age_s=7, length=10)
    assert got.response.headers.all("age") == [b"7"]
    return got.response.status, got.part


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ([], 200),
        ([("If-None-Match", '"1"')], 304),
        ([("If-None-Match", '"0", W/"1"')], 304),
        ([("If-None-Match", "*")], 304),
        ([("If-None-Match", '"0"')], 200),
        ([("If-None-Match", '"0"'), ("If-Modified-Since", at(0))], 200),
        ([("If-None-Match", "")], 200),
        ([("If-Modified-Since", at(-90))], 304),
        ([("If-Modified-Since", at(-91))], 200),
        ([("If-Modified-Since", "never")], 200),
        ([("If-Match", '"0"')], 200),
        ([("If-Unmodified-Since", at(-99))], 200),
    ],
)
def test_who_has_it_already_is_told_so(fields: list[Pair], status: int) -> None:
    """RFC 9110 §13.2.2."""
    for method in ("GET", "HEAD"):
        assert delivered(asked(method, *fields))[0] == status
    assert delivered(asked("POST", *fields)) == (200, None)
    assert delivered(asked("GET", *fields), came(404, ("ETag", '"1"')))[0] == 404


def test_a_weak_tag_tells_whole_responses_apart_but_not_their_parts() -> None:
    """RFC 9110 §8.8.3.2."""
    weak = came(200, ("ETag", 'W/"1"'))
    for tag in ('"1"', 'W/"1"'):
        assert delivered(asked("GET", ("If-None-Match", tag)), weak)[0] == 304
        request = asked("GET", ("Range", "bytes=0-1"), ("If-Range", tag))
        assert delivered(request, weak)[0] == 200


def test_a_304_repeats_what_the_client_may_update() -> None:
    got = deliver(asked("GET", ("If-None-Match", '"1"')), WHOLE, age_s=7, length=10)
    assert got.response.headers.names() == ["etag", "last-modified", "date", "age"]
    assert got.part == (0, -1)


def test_only_the_head_goes_to_head() -> None:
    got = deliver(asked("HEAD", ("Range", "bytes=0-1")), WHOLE, age_s=7, length=10)
    assert (got.response.status, got.part) == (200, (0, -1))
    assert got.response.headers.all("content-length") == [b"10"]
    unsized = deliver(asked("HEAD"), came(), age_s=7, length=10)
    assert unsized.response.headers.all("content-length") == [b"10"]
    unknown = deliver(asked("HEAD"), WHOLE, age_s=7, length=None)
    assert unknown.response.headers.all("content-length") == [b"10"]


@pytest.mark.parametrize(
    ("ranges", "expected"),
    [
        ("bytes=0-0", (206, (0, 0))),
        ("bytes=3-", (206, (3, 9))),
        ("Bytes = 3-99", (206, (3, 9))),
        ("bytes=-3", (206, (7, 9))),
        ("bytes=-99", (206, (0, 9))),
        ("bytes=10-", (416, (0, -1))),
        ("bytes=-0", (416, (0, -1))),
        ("bytes=5-3", (200, None)),
        ("bytes=-", (200, None)),
        ("bytes=0-1,3-4", (200, None)),
        ("lines=0-1", (200, None)),
        ("bytes=99999999999999999999-", (200, None)),
    ],
)
def test_a_part_goes_to_who_asks_for_one(ranges: str, expected: tuple[int, object]) -> None:
    """RFC 9110 §14.2."""
    assert delivered(asked("GET", ("Range", ranges))) == expected
    assert delivered(asked("POST", ("Range", ranges))) == (200, None)
    unknown = deliver(asked("GET", ("Range", ranges)), WHOLE, age_s=7, length=None)
    assert (unknown.response.status, unknown.part) == (200, None)


def test_what_is_said_of_a_part() -> None:
    got = deliver(asked("GET", ("Range", "bytes=2-4")), WHOLE, age_s=7, length=10).response
    assert got.headers.all("content-range") == [b"bytes 2-4/10"]
    assert got.headers.all("content-length") == [b"3"]
    assert got.headers.first("content-type") == b"text/plain"
    none = deliver(asked("GET", ("Range", "bytes=10-")), WHOLE, age_s=7, length=10).response
    assert none.headers.all("content-range") == [b"bytes */10"]
    assert none.headers.all("content-length") == [b"0"]
    odd = came(200, ("Content-Range", "bytes 0-9/10"))
    part = deliver(asked("GET", ("Range", "bytes=2-4")), odd, age_s=7, length=10).response
    assert part.headers.all("content-range") == [b"bytes 2-4/10"]


@pytest.mark.parametrize(
    ("condition", "status"),
    [
        ('"1"', 206),
        ('W/"1"', 200),
        ('"0"', 200),
        (at(-90), 206),
        (at(-89), 200),
        ("", 200),
    ],
)
def test_a_part_goes_only_to_who_has_the_rest(condition: str, status: int) -> None:
    """RFC 9110 §13.1.5."""
    request = asked("GET", ("Range", "bytes=0-1"), ("If-Range", condition))
    assert delivered(request)[0] == status


def test_a_date_is_no_proof_within_its_second() -> None:
    """RFC 9110 §8.8.2.2."""
    request = asked("GET", ("Range", "bytes=0-1"), ("If-Range", at(0)))
    assert delivered(request, came(200, ("Last-Modified", at(0)), ("Date", at(0))))[0] == 200
    assert delivered(request, came(200, ("Last-Modified", at(0)), ("Date", at(1))))[0] == 206
