"""Which backend a request goes to when no hand-off names one: the routes of a proxy on its own.

By name in `Pushpin-Route`, else by host and path; the first route is the default. Knows URLs, not
sockets. Source: GRIP §2.1 (`Pushpin-Route`), §2.5 (routes).
"""

import dataclasses
from collections.abc import Iterable
from urllib.parse import urlsplit

from host_sim.errors import ConfigError
from host_sim.messages import Request

__all__ = ["Route", "Routes"]

_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """A backend and the requests that are for it.

    Attributes:
        name: what `Pushpin-Route` and logs call it.
        scheme: `http` or `https`.
        host, port: where the backend listens.
        prefix: what is put before the path of a request, without a slash at its end.
        for_host: the host a request has to be for, in lower case and without port; None for any.
        for_path: how the path of a request has to begin.
        host_header: the `Host` the backend gets; None for the one the client sent.
    """

    name: str
    scheme: str
    host: str
    port: int
    prefix: str = ""
    for_host: str | None = None
    for_path: str = ""
    host_header: str | None = None

    @classmethod
    def parse(cls, text: str) -> "Route":
        """Parse `NAME=http://HOST:PORT[/prefix]`, as the command line has it.

        Raises:
            ConfigError: it is something else.
        """
        name, equals, url = text.partition("=")
        if not equals or not name:
            raise ConfigError(f"expected NAME=URL as a route, got {text!r}")
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as error:
            raise ConfigError(f"route {name!r}: {error}") from None
        if parts.scheme not in _DEFAULT_PORTS or not parts.hostname or parts.query:
            raise ConfigError(f"route {name!r}: expected http://HOST:PORT[/prefix], got {url!r}")
        return cls(
            name=name,
            scheme=parts.scheme,
            host=parts.hostname,
            port=port or _DEFAULT_PORTS[parts.scheme],
            prefix=parts.path.rstrip("/"),
        )

    def takes(self, host: str, path: str) -> bool:
        """Tell whether a request for `host` and `path` may go here."""
        return self.for_host in (None, host) and path.startswith(self.for_path)


class Routes:
    """The routes of a proxy."""

    def __init__(self, routes: Iterable[Route]) -> None:
        """Take routes; the first is for requests that no other is made for.

        Raises:
            ConfigError: there is none, or two have the same name.
        """
        self._routes = tuple(routes)
        self._by_name = {route.name: route for route in self._routes}
        if not self._routes:
            raise ConfigError("expected at least one route, got none")
        if len(self._by_name) < len(self._routes):
            raise ConfigError("expected a name for each route, got the same name twice")

    def named(self, name: str) -> Route | None:
        """Return the route called `name`, None if there is none."""
        return self._by_name.get(name)

    def choose(self, request: Request) -> Route | None:
        """Return the route of a request, None if it asks for one that does not exist.

        Of those that take it, a route for its host goes before one for any, a longer path before
        a shorter one, an earlier before a later one.
        """
        name = request.headers.get("Pushpin-Route")
        if name is not None:
            return self._by_name.get(name)
        host = (urlsplit(f"//{request.authority}").hostname or "").lower()
        path = request.target.partition("?")[0]
        fitting = [route for route in self._routes if route.takes(host, path)]
        return max(
            fitting,
            key=lambda route: (route.for_host is not None, len(route.for_path)),
            default=None,
        )
