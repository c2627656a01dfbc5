"""What is known about a client that may be a bot or a proxy: what its request says itself.

There is no detection here. As in Viceroy, request headers tell what would have been detected, so
that a guest's decisions can be tested. Host contract §2.6.
"""

import re

from host_sim.sandbox.border.values import Case, WitError
from host_sim.sandbox.hostcalls import interface
from host_sim.sandbox.hostcalls.http_downstream import downstream_of
from host_sim.sandbox.objects.messages import GuestRequest
from host_sim.sandbox.state import Sandbox

__all__ = [
    "OtherBotCategory",
    "as_raw",
    "bot_analyzed",
    "bot_category",
    "bot_category_kind",
    "bot_detected",
    "bot_name",
    "bot_verified",
    "not_known_to_be_a_proxy",
    "vpn_service_name",
]

hostcall = interface("http-downstream")

_NUMBER = re.compile(r"\+?[0-9]{1,10}")


class OtherBotCategory:
    """A category of bots without a name of its own, as a handle."""

    def __init__(self, number: int) -> None:
        self.number = number


_BOTS = (
    "none",
    "suspected",
    "accessibility",
    "ai-crawler",
    "ai-fetcher",
    "content-fetcher",
    "monitoring-site-tools",
    "online-marketing",
    "page-preview",
    "platform-integrations",
    "research",
    "search-engine-crawler",
    "search-engine-optimization",
    "security-tools",
)
_BOT_NUMBERS = {
    **{name: number for number, name in enumerate(_BOTS)},
    **{str(number): number for number in range(len(_BOTS))},
    "platform-integration": _BOTS.index("platform-integrations"),  # so in Viceroy
    "headless": len(_BOTS),
}


def _told(request: GuestRequest, fact: str) -> str | None:
    """Return what the client itself says about a bot: there is no detection here."""
    value = downstream_of(request).headers.get(f"x-fastly-bot-{fact}")
    return value if value is not None and value.isascii() else None


@hostcall("downstream-bot-analyzed")
def bot_analyzed(_sandbox: Sandbox, request: GuestRequest) -> bool:
    """Tell whether the request was looked at."""
    return _told(request, "analyzed") == "true"


@hostcall("downstream-bot-detected")
def bot_detected(_sandbox: Sandbox, request: GuestRequest) -> bool:
    """Tell whether it comes from a bot."""
    return _told(request, "detected") == "true"


@hostcall("downstream-bot-verified")
def bot_verified(_sandbox: Sandbox, request: GuestRequest) -> bool | None:
    """Tell whether the bot is who it says; Viceroy takes `analyzed` for that."""
    told = _told(request, "verified") or _told(request, "analyzed")
    return None if told is None else told == "true"


@hostcall("downstream-bot-name")
def bot_name(_sandbox: Sandbox, request: GuestRequest, max_len: int) -> str | None:
    """Return the name of the bot."""
    return _within(_told(request, "name"), max_len)


@hostcall("downstream-bot-category")
def bot_category(_sandbox: Sandbox, request: GuestRequest, max_len: int) -> str | None:
    """Return the category of the bot."""
    return _within(_told(request, "category"), max_len)


def _within(text: str | None, max_len: int) -> str | None:
    if text is not None and len(text) > max_len:
        raise WitError("limit-exceeded")  # not `buffer-len`, which would tell the size
    return text


@hostcall("downstream-bot-category-kind")
def bot_category_kind(_sandbox: Sandbox, request: GuestRequest) -> Case | None:
    """Return the category of the bot as a case: from its name or its number."""
    told = _told(request, "category")
    if told is None:
        return None
    number = _BOT_NUMBERS.get(told.lower())
    if number is None:
        if not _NUMBER.fullmatch(told) or int(told) >= 1 << 32:
            raise WitError("generic-error")
        number = int(told)
    elif number < len(_BOTS):
        return Case(_BOTS[number])
    return Case("extra", OtherBotCategory(number))


@hostcall("[method]extra-bot-category.as-raw")
def as_raw(_sandbox: Sandbox, category: OtherBotCategory) -> int:
    """Return the number of the category."""
    return category.number


@hostcall("downstream-resvpnproxy-is-anonymous")
@hostcall("downstream-resvpnproxy-is-anonymous-vpn")
@hostcall("downstream-resvpnproxy-is-hosting-provider")
@hostcall("downstream-resvpnproxy-is-proxy-over-vpn")
@hostcall("downstream-resvpnproxy-is-public-proxy")
@hostcall("downstream-resvpnproxy-is-relay-proxy")
@hostcall("downstream-resvpnproxy-is-residential-proxy")
@hostcall("downstream-resvpnproxy-is-smart-dns-proxy")
@hostcall("downstream-resvpnproxy-is-tor-exit-node")
@hostcall("downstream-resvpnproxy-is-vpn-datacenter")
def not_known_to_be_a_proxy(_sandbox: Sandbox, _request: GuestRequest) -> None:
    """Return nothing: nobody here knows about the client's network."""


@hostcall("downstream-resvpnproxy-vpn-service-name")
def vpn_service_name(_sandbox: Sandbox, _request: GuestRequest, _max_len: int) -> None:
    """Return nothing, likewise."""
