"""What an item does to one subscriber: gaps, filters, and the ids a hold is at.

The rules of long polls and streams. Knows no transport and no format; who asks says which content
filters the item's format names. Source: GRIP §8.3 (delivery), §9.4 (recovery), §10 (filters).
"""

import dataclasses
import enum
from collections.abc import Iterable, Mapping

from grip import filters
from grip.instruct import Channel
from grip.items import Item

__all__ = ["Subscriptions", "Verdict"]


class Verdict(enum.Enum):
    """Whether an item is for this subscriber."""

    TAKE = "deliver it"
    SKIP = "a filter of the subscription keeps it back, or it is not for this subscriber"
    GAP = "it does not follow the last one"
    MISFIT = "it counts on other content filters"


class Subscriptions:
    """The channels of one hold, each with the id it is at, and the metadata of its client."""

    __slots__ = ("_channels", "_meta")

    def __init__(self, channels: Iterable[Channel] = (), meta: Mapping[str, str] | None = None):
        self._channels = {channel.name: channel for channel in channels}
        self._meta = meta or {}

    @property
    def names(self) -> tuple[str, ...]:
        """The channels, in the order of subscription."""
        return tuple(self._channels)

    @property
    def last_ids(self) -> tuple[tuple[str, str], ...]:
        """The channels that are at an id, with it."""
        return tuple(
            (channel.name, channel.prev_id)
            for channel in self._channels.values()
            if channel.prev_id is not None
        )

    @property
    def plain(self) -> bool:
        """Whether every item is for this subscriber, as it is: no filters, and at no id."""
        return all(one.prev_id is None and not one.filters for one in self._channels.values())

    @property
    def filters_reply(self) -> bool:
        """Whether `filter_reply` needs the body of the reply whole."""
        return filters.changes_reply(self._filters)

    @property
    def _filters(self) -> Iterable[str]:
        return (name for channel in self._channels.values() for name in channel.filters)

    def behind(self, lasts: Mapping[str, str]) -> tuple[str, ...]:
        """Return the channels that are not at the last id processed, where that is known."""
        return tuple(name for name, at in self.last_ids if lasts.get(name, at) != at)

    def lacks(self, item: Item) -> bool:
        """Tell whether an item is of none of the channels, or leaves a gap there."""
        channel = self._channels.get(item.channel)
        return channel is None or channel.prev_id not in (None, item.prev_id)

    def judge(self, item: Item, expected_filters: tuple[str, ...] | None) -> Verdict:
        """Decide about an item, and move on to its id unless there is a gap.

        `expected_filters` are the content filters its publisher counts on, None if it does not say.
        """
        channel = self._channels.get(item.channel)
        if channel is None:
            return Verdict.SKIP
        if channel.prev_id is not None:
            if channel.prev_id != item.prev_id:
                return Verdict.GAP
            self._channels[item.channel] = dataclasses.replace(channel, prev_id=item.id)
        if (
            expected_filters is not None
            and filters.content_filters(channel.filters) != expected_filters
        ):
            return Verdict.MISFIT
        if channel.filters and not filters.delivers(
            channel.filters, meta=self._meta, item_meta=item.meta, channels=self._channels
        ):
            return Verdict.SKIP
        return Verdict.TAKE

    def filter_content(self, channel: str, content: bytes) -> bytes:
        """Apply the content filters of `channel`; the same object if there are none.

        Raises:
            RemoteProtocolError: the content cannot be filtered.
        """
        names = self._channels[channel].filters
        if not names:
            return content
        prev_ids = {name: channel.prev_id for name, channel in self._channels.items()}
        return filters.filter_content(names, content, meta=self._meta, prev_ids=prev_ids)

    def filter_reply(self, body: bytes) -> bytes:
        """Apply the filters of all channels to the body of the backend's reply.

        Raises:
            RemoteProtocolError: the body cannot be filtered.
        """
        return filters.filter_reply(self._filters, body, meta=self._meta)
