r"""Server-sent events as the content of a stream.

Writes them; reading is the browser's. Source: HTML standard §9.2.5 (parsing), §9.2.6
(interpreting an event stream).

>>> format_event("two\nlines", event="note", event_id="7")
b'id: 7\nevent: note\ndata: two\ndata: lines\n\n'
"""

import re

from grip.errors import LocalProtocolError, shorten

__all__ = ["format_event"]

_LINE_END = re.compile(r"\r\n|\r|\n")


def format_event(data: str, *, event: str | None = None, event_id: str | None = None) -> bytes:
    """Return one event, in UTF-8.

    Args:
        data: the message, of any number of lines; line ends of any kind arrive as line feeds.
        event: its type, None for `message`.
        event_id: what an `EventSource` names as `Last-Event-ID` when it connects again.

    Raises:
        LocalProtocolError: the type or id has a line end or a NUL, or there are lone surrogates.
    """
    lines = []
    for name, value in (("id", event_id), ("event", event)):
        if value is not None:
            if _LINE_END.search(value) or "\0" in value:
                raise LocalProtocolError(f"expected one line as {name}, got {shorten(value)}")
            lines.append(f"{name}: {value}")
    lines += [f"data: {line}" for line in _LINE_END.split(data)]
    try:
        return ("\n".join(lines) + "\n\n").encode()
    except UnicodeEncodeError:
        raise LocalProtocolError(f"expected text, got {shorten(lines)}") from None
