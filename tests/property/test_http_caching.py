"""Whatever fields messages have, the rules for caches give an answer, and their numbers add up."""

from hypothesis import given
from hypothesis import strategies as st

from grip.headers import Headers
from host_sim.sandbox.http_caching.delivering import deliver
from host_sim.sandbox.http_caching.storing import cache_key, storage_action, suggest
from host_sim.sandbox.http_caching.validating import backend_request, prepare
from host_sim.sandbox.objects.headers import HeaderTable
from host_sim.sandbox.objects.messages import GuestRequest, GuestResponse

ACTIONS = {"insert", "update", "do-not-store", "record-uncacheable"}
U64 = 1 << 64

REQUEST_FIELDS = (
    *("host", "range", "if-range", "if-match", "if-none-match", "if-modified-since"),
    *("authorization", "cache-control", "x"),
)
RESPONSE_FIELDS = (
    *("cache-control", "surrogate-control", "expires", "age", "date", "vary", "etag", "x"),
    *("last-modified", "surrogate-key", "content-length", "connection", "content-range"),
)
WORDS = st.sampled_from(
    [
        *("max-age=", "s-maxage=", "60", "no-cache", "private", "=", '"', ",", ";", " ", "W/"),
        *("bytes=", "-", "0", "9", "stale-while-revalidate=5", "must-revalidate", "*", '"1"'),
        *("Fri, 31 Dec 9999 23:59:59 GMT", "Sun Nov  6 08:49:37 1994", "+9999", "\\", "99:99:99"),
        *("1", "Jan", "public", "\t", "é", "²"),
    ]
)
VALUES = st.lists(WORDS, max_size=8).map("".join).map(str.encode) | st.binary(max_size=30)


def tables(names: tuple[str, ...]) -> st.SearchStrategy[HeaderTable]:
    """Return tables with fields of these names and any bytes as values."""
    fields = st.lists(st.tuples(st.sampled_from(names), VALUES), max_size=6)
    return fields.map(
        lambda pairs: HeaderTable.of(
            Headers((name, value.decode("utf-8", "surrogateescape")) for name, value in pairs)
        )
    )


REQUESTS = st.builds(
    GuestRequest,
    method=st.sampled_from(["GET", "HEAD", "POST"]),
    headers=tables(REQUEST_FIELDS),
)
RESPONSES = st.builds(
    GuestResponse,
    status=st.sampled_from([103, 200, 206, 304, 404, 500]),
    headers=tables(RESPONSE_FIELDS),
)
TIMES = st.floats(0, 1e11)


@given(request=REQUESTS, response=RESPONSES, now=TIMES, took_s=st.floats(-10, 1e6))
def test_any_response_can_be_judged(
    request: GuestRequest, response: GuestResponse, now: float, took_s: float
) -> None:
    assert len(cache_key(request)) == 32
    assert storage_action(request, response) in ACTIONS
    got = suggest(response, now, now - took_s)
    for duration_ns in (
        *(got.max_age_ns, got.initial_age_ns),
        *(got.stale_while_revalidate_ns, got.stale_if_error_ns),
    ):
        assert 0 <= duration_ns < U64
        assert duration_ns % 1_000_000_000 == 0
    assert got.length is None or 0 <= got.length < U64
    assert all(" " < c <= "~" or c == " " for c in got.surrogate_keys + got.vary_rule)


@given(request=REQUESTS, stored=st.none() | RESPONSES, response=RESPONSES, now=st.floats(0, 2e11))
def test_any_response_can_be_prepared(
    request: GuestRequest, stored: GuestResponse | None, response: GuestResponse, now: float
) -> None:
    before = response.headers.headers()
    asked = backend_request(request, stored)
    assert not asked.headers.all("range")
    action, adjusted = prepare(request, stored, response, now)
    assert response.headers.headers() == before
    if action == "update":
        assert stored is not None
        assert adjusted.status == stored.status
        assert adjusted.headers.all("content-length") == stored.headers.all("content-length")
    if action in ("insert", "update"):
        assert adjusted.headers.all("date")
        if action == "insert":
            assert not adjusted.headers.all("connection")
        assert 0 <= suggest(adjusted, now).initial_age_ns < U64


@given(
    request=REQUESTS,
    stored=RESPONSES,
    age_s=st.integers(0, 1 << 40),
    length=st.none() | st.integers(0, 12),
)
def test_any_request_is_answered(
    request: GuestRequest, stored: GuestResponse, age_s: int, length: int | None
) -> None:
    got = deliver(request, stored, age_s=age_s, length=length)
    assert got.response.headers.all("age") == [b"%d" % min(age_s, 1 << 31)]  # RFC 9111 §1.2.2
    if got.response.status != stored.status:
        assert stored.status == 200
        assert got.response.status in (206, 304, 416)
        if got.response.status == 206:
            assert length is not None
            assert got.part is not None
            first, last = got.part
            assert 0 <= first <= last < length
            assert got.response.headers.all("content-length") == [b"%d" % (last - first + 1)]
        else:
            assert got.part == (0, -1)


@given(
    lifetime_s=st.integers(0, 1 << 31), age_s=st.integers(0, 1 << 31), took_s=st.integers(0, 999)
)
def test_lifetimes_and_ages_are_what_the_fields_say(
    lifetime_s: int, age_s: int, took_s: int
) -> None:
    response = GuestResponse(
        headers=HeaderTable.of(
            Headers([("cache-control", f"max-age={lifetime_s}"), ("age", str(age_s))])
        )
    )
    got = suggest(response, 2000.0, 2000.0 - took_s)
    assert got.max_age_ns == lifetime_s * 10**9
    assert got.initial_age_ns == min(age_s + took_s, 1 << 31) * 10**9
