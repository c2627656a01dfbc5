"""A transaction of the HTTP cache in the guest's hands: the store's, with a request and responses.

The store keeps a response's head beside the bytes of its content. Everything but `step` waits
for the outcome of the lookup first.
"""

import dataclasses
import time
from typing import Any

from host_sim.sandbox.border.values import WitError
from host_sim.sandbox.cache.objects import (
    CachedObject,
    WriteOptions,
    fields_of,
    surrogate_keys,
    vary_rule,
)
from host_sim.sandbox.cache.store import Cache, Entry
from host_sim.sandbox.http_caching.delivering import deliver
from host_sim.sandbox.http_caching.storing import Suggestion, suggest
from host_sim.sandbox.http_caching.validating import backend_request, prepare
from host_sim.sandbox.objects.bodies import GuestBody
from host_sim.sandbox.objects.cached import Step
from host_sim.sandbox.objects.headers import HeaderTable
from host_sim.sandbox.objects.messages import GuestRequest, GuestResponse
from host_sim.sandbox.waiting import Waiting

__all__ = ["HttpEntry"]


class HttpEntry:
    """A transaction behind a handle."""

    def __init__(self, waiting: Waiting, entry: Entry, request: GuestRequest) -> None:
        self._waiting = waiting
        self._entry = entry
        self._request = request
        self._requested: float | None = None  # when its backend request was made

    @classmethod
    def look_up(
        cls, cache: Cache, waiting: Waiting, key: bytes, request: GuestRequest
    ) -> "HttpEntry":
        """Begin a transaction for a request as it is now."""
        request = dataclasses.replace(request, headers=_copied(request.headers))
        entry = cache.begin(("http", key), fields_of(request.headers), waiting)
        return cls(waiting, entry, request)

    def step(self) -> Step | None:
        """Return what has to be waited for, None if nothing."""
        return None if self._entry.ready else Step(self._entry)

    def outcome(self) -> Entry:
        """Return the store's entry as soon as it is ready."""
        self._entry.wait()
        return self._entry

    @property
    def found(self) -> CachedObject | None:
        """What may be used."""
        return self.outcome().found

    def _stored(self) -> GuestResponse | None:
        """Return the head of what can be validated, by whoever has to."""
        entry = self.outcome()
        thing = entry.object if entry.obliged else None
        return None if thing is None else _head(thing)

    def backend_request(self) -> GuestRequest:
        """Return the request to make."""
        self._requested = time.time()
        return backend_request(self._request, self._stored())

    def prepare(self, response: GuestResponse) -> tuple[str, GuestResponse]:
        """Return what to do with its response, and the response to store."""
        return prepare(self._request, self._stored(), response, time.time())

    def suggest(self, response: GuestResponse) -> Suggestion:
        """Say how to store it."""
        self.outcome()
        return suggest(response, time.time(), self._requested)

    def insert(
        self, response: GuestResponse, options: dict[str, Any]
    ) -> tuple[GuestBody, "HttpEntry"]:
        """Store a response; return where its content goes, and what finds it.

        Raises:
            WitError: `auxiliary-error`, it is not this entry's turn; or an option is none.
        """
        writer, entry = self.outcome().insert(_write_options(options, response))
        return GuestBody.into(self._waiting, writer), self._next(entry)

    def update(self, response: GuestResponse, options: dict[str, Any]) -> "HttpEntry":
        """Give what is stored a new head; return what finds it.

        Raises:
            WitError: `auxiliary-error`, it is not this entry's turn, or nothing is stored; or an
                option is none.
        """
        return self._next(self.outcome().update(_write_options(options, response)))

    def _next(self, entry: Entry) -> "HttpEntry":
        return HttpEntry(self._waiting, entry, self._request)

    def record_not_cacheable(self, options: dict[str, Any]) -> None:
        """Tell those who wait, and those who come, that there is nothing to wait for.

        Raises:
            WitError: `auxiliary-error`, it is not this entry's turn; or an option is none.
        """
        note = WriteOptions(
            max_age_ns=options["max-age-ns"],
            vary=vary_rule(options["vary-rule"] or ""),
            pass_on=True,
        )
        writer, _ = self.outcome().insert(note)
        writer.finish()

    def choose_stale(self) -> None:
        """Take what is stored for want of anything better, here and wherever it is waited for.

        Raises:
            WitError: `auxiliary-error`, it is not this entry's turn, or there is no such response.
        """
        entry = self.outcome()
        if entry.obliged and entry.found is not None:  # it may be used anyway: nobody waits
            entry.cancel()
        else:
            entry.choose_stale()

    def abandon(self) -> None:
        """Leave it to others to store something.

        Raises:
            WitError: `auxiliary-error`, it is not this entry's turn.
        """
        if not self.outcome().cancel():
            raise WitError("auxiliary-error")

    def found_response(self, *, for_client: bool) -> tuple[GuestResponse, GuestBody] | None:
        """Return what was found, in the form its request asked for or as it is stored."""
        entry = self.outcome()
        if (thing := entry.found) is None:
            return None
        head, begin, end = _head(thing), 0, None
        if for_client:
            age_s = (entry.age_ns or 0) // 1_000_000_000
            delivery = deliver(self._request, head, age_s=age_s, length=thing.length)
            head = delivery.response
            if delivery.part is not None:
                begin, end = delivery.part[0], delivery.part[1] + 1
        else:
            head = dataclasses.replace(head, headers=_copied(head.headers))
        return head, GuestBody(self._waiting, thing.content.body(begin, end))

    def dropped(self) -> None:
        """Give it up; whoever waits for it has the next turn."""
        self._entry.close()


def _head(thing: CachedObject) -> GuestResponse:
    head = thing.options.attached
    assert isinstance(head, GuestResponse)
    return head


def _copied(fields: HeaderTable) -> HeaderTable:
    return HeaderTable.of(fields.headers())


def _write_options(options: dict[str, Any], response: GuestResponse) -> WriteOptions:
    return WriteOptions(
        max_age_ns=options["max-age-ns"],
        initial_age_ns=options["initial-age-ns"] or 0,
        stale_while_revalidate_ns=options["stale-while-revalidate-ns"] or 0,
        stale_if_error_ns=options.get("stale-if-error-ns") or 0,
        vary=vary_rule(options["vary-rule"] or ""),
        surrogate_keys=surrogate_keys(options["surrogate-keys"] or ""),
        length=options["length"],
        sensitive=options["sensitive-data"],
        attached=response,
        attached_bytes=sum(
            len(name) + len(value) for name, values in response.headers for value in values
        ),
    )
