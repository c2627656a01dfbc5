"""Transactions of the HTTP cache without a guest, the store's time played."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from grip.headers import Headers, Pair
from host_sim.sandbox.border.values import WitError
from host_sim.sandbox.cache.store import Cache
from host_sim.sandbox.objects.bodies import GuestBody
from host_sim.sandbox.objects.headers import HeaderTable
from host_sim.sandbox.objects.http_entries import HttpEntry
from host_sim.sandbox.objects.messages import GuestRequest, GuestResponse
from host_sim.sandbox.waiting import Limits, Waiting

SECOND = 1_000_000_000
DUTY = "must-insert-or-update"
HIT = {"found", "usable"}


def said(max_age: int = 0, swr: int = 0, sie: int = 0, vary: str | None = None) -> dict[str, Any]:
    """Return a guest's options, times in seconds."""
    return {
        "max-age-ns": max_age * SECOND,
        "vary-rule": vary,
        "initial-age-ns": None,
        "stale-while-revalidate-ns": swr * SECOND,
        "stale-if-error-ns": sie * SECOND,
        "surrogate-keys": None,
        "length": None,
        "sensitive-data": False,
    }


def head(*fields: Pair, status: int = 200) -> GuestResponse:
    return GuestResponse(status=status, headers=HeaderTable.of(Headers(fields)))


class Player:
    """Somebody who looks things up in a cache whose time a test plays."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.cache = Cache(clock=lambda: int(self.now_s * SECOND))
        self.waiting = Waiting(asyncio.new_event_loop(), Limits())

    def look(self, *fields: Pair, method: str = "GET") -> HttpEntry:
        request = GuestRequest(method=method, headers=HeaderTable.of(Headers(fields)))
        return HttpEntry.look_up(self.cache, self.waiting, bytes(32), request)

    def store(self, response: GuestResponse, options: dict[str, Any], *fields: Pair) -> None:
        body, _ = self.look(*fields).insert(response, options)
        body.write(b"content")
        body.close()


@pytest.fixture
def player() -> Iterator[Player]:
    player = Player()
    yield player
    player.waiting.loop.close()


def state(entry: HttpEntry) -> set[str]:
    return entry.outcome().state


def read(found: tuple[GuestResponse, GuestBody] | None) -> tuple[int, str, bytes] | None:
    """Return status, age and content."""
    if found is None:
        return None
    response, body = found
    return response.status, response.headers.headers().get("age") or "", body.read(99)


def test_a_response_grows_old(player: Player) -> None:
    """Fresh, stale while validated, stale in case of an error, and then only to be validated."""
    player.store(head(("ETag", '"1"')), said(max_age=10, swr=5, sie=20))
    for now_s, age, flags in (
        (9.9, "9", HIT),
        (10, "10", {*HIT, "stale", DUTY}),
        (14.9, "14", {*HIT, "stale", DUTY}),
    ):
        player.now_s = now_s
        entry = player.look()
        assert state(entry) == flags
        assert read(entry.found_response(for_client=True)) == (200, age, b"content")
        entry.dropped()
    for now_s, flags in ((15, {"stale", "usable-if-error", DUTY}), (30, {DUTY})):
        player.now_s = now_s
        entry = player.look()
        assert (state(entry), entry.found_response(for_client=True)) == (flags, None)
        assert entry.backend_request().headers.first("if-none-match") == b'"1"'
        entry.dropped()


def test_an_expired_response_can_still_be_validated(player: Player) -> None:
    player.store(head(("ETag", '"1"'), ("X", "old")), said(max_age=10))
    player.now_s = 1000
    entry = player.look()
    action, merged = entry.prepare(head(("ETag", '"1"'), ("X", "new"), status=304))
    assert (action, merged.headers.first("x")) == ("update", b"new")
    fresh = entry.update(merged, said(max_age=10))
    assert read(fresh.found_response(for_client=True)) == (200, "0", b"content")
    assert state(player.look()) == HIT


def test_who_has_no_duty_has_nothing_to_validate(player: Player) -> None:
    player.store(head(("ETag", '"1"')), said(max_age=10))
    entry = player.look()
    assert not entry.backend_request().headers.all("if-none-match")
    assert entry.prepare(head(status=304))[0] == "do-not-store"


def test_what_is_not_cacheable_is_remembered_for_a_while(player: Player) -> None:
    """And only for requests like that one."""
    player.look(("A", "1")).record_not_cacheable(said(max_age=10, vary="a"))
    first, second = player.look(("A", "1")), player.look(("A", "1"))
    assert state(first) == state(second) == set()
    assert state(player.look(("A", "2"))) == {DUTY}
    player.now_s = 10
    assert state(player.look(("A", "1"))) == {DUTY}


def test_choosing_stale_is_for_one_time(player: Player) -> None:
    player.store(head(), said(max_age=10, sie=10))
    player.now_s = 11
    for _ in range(2):
        entry = player.look()
        entry.choose_stale()
        assert state(entry) == {*HIT, "stale", "usable-if-error"}
        assert read(entry.found_response(for_client=True)) == (200, "11", b"content")
    player.now_s = 20
    entry = player.look()
    with pytest.raises(WitError, match="auxiliary-error"):
        entry.choose_stale()
    assert state(entry) == {DUTY}


def test_a_lookup_keeps_its_request_and_the_store_its_response(player: Player) -> None:
    """What a guest does with them later changes nothing."""
    request = GuestRequest(headers=HeaderTable.of(Headers([("Range", "bytes=0-1")])))
    entry = HttpEntry.look_up(player.cache, player.waiting, bytes(32), request)
    request.headers.remove("range")
    request.method = "HEAD"
    body, back = entry.insert(head(("X", "1"), ("Content-Length", "7")), said(max_age=10))
    body.write(b"content")
    body.close()
    for for_client, status, content in ((False, 200, b"content"), (True, 206, b"co")):
        found = back.found_response(for_client=for_client)
        assert found is not None
        response, body = found
        assert (response.status, body.read(99)) == (status, content)
        response.headers.insert("x", b"2")
        response.status = 500
    again = player.look().found_response(for_client=False)
    assert again is not None
    assert (again[0].status, again[0].headers.first("x")) == (200, b"1")


def test_heads_count_for_the_memory_of_the_cache(player: Player) -> None:
    before = player.cache.weight
    player.store(head(("X", "1" * 1000)), said(max_age=10))
    assert player.cache.weight - before > 1000
