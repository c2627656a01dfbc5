"""What a case is, and the helpers its scripts have besides those of the guest."""

import base64
import dataclasses
import textwrap

__all__ = ["Ask", "Case", "Cases", "encoded"]

PRELUDE = '''
import enum
seen = {}
def noted(value):
    if isinstance(value, enum.Flag):
        return [flag.name for flag in type(value) if flag in value]
    if isinstance(value, enum.Enum):
        return value.name
    if isinstance(value, bytes):
        return "b:" + value.decode("latin-1")
    if isinstance(value, list | tuple):
        return [noted(one) for one in value]
    if isinstance(value, dict):
        return {key: noted(one) for key, one in value.items()}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if hasattr(value, "value"):
        return [type(value).__name__, noted(value.value)]
    return type(value).__name__
def see(name, function, *arguments, **named):
    """Note what a call returns, or its error; return what it returns."""
    value = None
    try:
        value = function(*arguments, **named)
        seen[name] = noted(value)
    except Err as error:
        seen[name] = {"error": described(error.value)}
    return value
def fetch(path="/echo", backend_name="origin", content=b"", method="GET", headers=()):
    """Send a request of the usual kind; return response and body."""
    made = http_req.Request.new()
    made.set_method(method)
    made.set_uri("http://fetched.test" + path)
    for name, value in headers:
        made.append_header(name, value)
    return http_req.send(made, written(content), backend.Backend.open(backend_name))
'''
POSTLUDE = "\nif seen:\n    answer(seen)\n"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One request of a client.

    Attributes:
        script: what the guest does; what it notes with `see` is answered as JSON at its end.
        method, target, headers: of the request, besides what every client sends.
        body: its content.
        chunks: its content in pieces of unknown number, in place of `body`.
        trailers: fields after the last chunk.
        upgrade: bytes to send once the answer is 101, which come back with it.
        lines: how many lines the guest logs, where its log is compared.
    """

    script: str
    method: str = "GET"
    target: str = "/"
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    chunks: tuple[bytes, ...] = ()
    trailers: tuple[tuple[str, str], ...] = ()
    upgrade: bytes = b""
    lines: int = 0


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """Requests that follow one another, and where the contract speaks of them."""

    name: str
    section: str
    asks: tuple[Ask, ...]


class Cases:
    """The cases of one module, about one section of the host contract."""

    def __init__(self, section: str) -> None:
        self._section = section
        self.all: list[Case] = []

    def add(self, name: str, script: str = "", *then: Ask, **request: object) -> None:
        """Add a case whose first request, or only one, has this script."""
        first = (Ask(script=script, **request),) if script else ()  # type: ignore[arg-type]
        self.all.append(Case(name=name, section=self._section, asks=first + then))


def encoded(script: str) -> str:
    """Return a script as the guest takes it from a header field."""
    whole = PRELUDE + textwrap.dedent(script) + POSTLUDE
    return base64.b64encode(whole.encode()).decode()
