"""Which backend a request goes to when no hand-off names one: the routes of a proxy on its own.

By name in `Pushpin-Route`, else by host and path; the first route is the default. Knows URLs, not
sockets. Source: GRIP §2.1 (`Pushpin-Route`), §2.5 (routes).
"""

import dataclasses
from collections.abc import Iterable, Iterator
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
        scheme: `http` or `https`; or `test`, which has no backend: the proxy replies itself.
        host, port: where the backend listens.
        cut: how many characters of the path of a request are left out, from its beginning.
        prefix: what is put before the rest, without a slash at its end.
        for_host: the host a request has to be for, in lower case and without port; None for any.
        for_path: how the path of a request has to begin.
        host_header: the `Host` the backend gets; None for the one the client sent.
        named_only: whether only those requests go here that ask for it by name.
        insecure: whether the backend's certificate may be anybody's.
    """

    name: str
    scheme: str
    host: str
    port: int
    cut: int = 0
    prefix: str = ""
    for_host: str | None = None
    for_path: str = ""
    host_header: str | None = None
    named_only: bool = False
    insecure: bool = False

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

    @property
    def url(self) -> str:
        """Where it leads, for people."""
        if self.scheme == "test":
            return "test"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}{self.prefix}"

    def takes(self, host: str, path: str) -> bool:
        """Tell whether a request for `host` and `path` may go here."""
        fits = self.for_host in (None, host) and path.startswith(self.for_path)
        return fits and not self.named_only

    def target(self, target: str) -> str:
        """Return path and query as the backend gets them."""
        rest = self.prefix + target[self.cut :]
        return rest if rest.startswith(("/", "*")) else f"/{rest}"

    def adapted(self, request: Request) -> Request:
        """Return a request as the backend gets it; most routes change nothing."""
        if self.host_header is not None:
            headers = request.headers.replaced("Host", self.host_header)
            request = dataclasses.replace(request, headers=headers)
        target = self.target(request.target)
        return request if target == request.target else dataclasses.replace(request, target=target)


class Routes:
    """The routes of a proxy."""

    def __init__(self, routes: Iterable[Route], *, by_name: bool = True) -> None:
        """Take routes; the first is for requests that no other is made for.

        Args:
            routes: those there are.
            by_name: whether clients may choose one with `Pushpin-Route`.

        Raises:
            ConfigError: there is none, or two have the same name.
        """
        self._routes = tuple(routes)
        self._by_name = {route.name: route for route in self._routes}
        self._clients_choose = by_name
        self._for_hosts = any(route.for_host is not None for route in self._routes)
        if not self._routes:
            raise ConfigError("expected at least one route, got none")
        if len(self._by_name) < len(self._routes):
            raise ConfigError("expected a name for each route, got the same name twice")

    def __iter__(self) -> Iterator[Route]:
        return iter(self._routes)

    def named(self, name: str) -> Route | None:
        """Return the route called `name`, None if there is none."""
        return self._by_name.get(name)

    def choose(self, request: Request) -> Route | None:
        """Return the route of a request, None if it asks for one that does not exist.

        Of those that take it, a route for its host goes before one for any, a longer path before
        a shorter one, an earlier before a later one.
        """
        path = request.target.partition("?")[0]
        name = request.headers.get("Pushpin-Route") if self._clients_choose else None
        if name is not None:
            named = self._by_name.get(name)
            return named if named is not None and path.startswith(named.for_path) else None
        host = ""
        if self._for_hosts:
            host = (urlsplit(f"//{request.authority}").hostname or "").lower()
        fitting = [route for route in self._routes if route.takes(host, path)]
        return max(
            fitting,
            key=lambda route: (route.for_host is not None, len(route.for_path)),
            default=None,
        )
