"""Where a WebSocket can be at the proxy, and where each event may lead. Source: GRIP §11, §12."""

import enum
from collections.abc import Mapping
from typing import Final

from grip.ws_over_http.steps import (
    CloseItem,
    Delivered,
    Failed,
    Faulted,
    Gone,
    Handshake,
    Received,
    Refresh,
    Refused,
    Replied,
    SessionEvent,
    Tick,
    Unreachable,
)

__all__ = ["TRANSITIONS", "State"]


class State(enum.Enum):
    """Where a connection is."""

    OPENING = "the backend has not answered the handshake yet"
    OPEN = "messages pass both ways"
    DETACHED = "the backend has left the client to the proxy"
    ENDING = "the client has closed, and the backend is to answer that"
    FAILING = "the client broke the protocol, and what it sent before is still to be answered"
    CLOSING = "a close frame is sent, and the client is to answer it"
    LEAVING = "the client has gone, and the backend is to hear of it"
    OVER = "nobody waits for anything"


TRANSITIONS: Final[Mapping[State, Mapping[type[SessionEvent], tuple[State, ...]]]] = {
    State.OPENING: {
        Handshake: (State.OPENING,),
        Gone: (State.LEAVING, State.OVER),
        Replied: (State.OPENING, State.OPEN, State.DETACHED, State.CLOSING, State.OVER),
        Refused: (State.OVER,),
        Failed: (State.OVER,),
        Unreachable: (State.OVER,),
        Tick: (State.OPENING,),
    },
    State.OPEN: {
        Received: (State.OPEN, State.ENDING),
        Faulted: (State.FAILING, State.LEAVING),
        Gone: (State.LEAVING,),
        Replied: (State.OPEN, State.DETACHED, State.CLOSING, State.OVER),
        Refused: (State.OVER,),
        Failed: (State.OVER,),
        Unreachable: (State.OPEN, State.OVER),
        Delivered: (State.OPEN,),
        CloseItem: (State.CLOSING,),
        Refresh: (State.OPEN,),
        Tick: (State.OPEN,),
    },
    State.DETACHED: {
        Received: (State.DETACHED, State.LEAVING, State.OVER),
        Faulted: (State.LEAVING, State.OVER),
        Gone: (State.LEAVING, State.OVER),
        Replied: (State.DETACHED,),
        Refused: (State.DETACHED,),
        Failed: (State.DETACHED,),
        Unreachable: (State.DETACHED,),
        Delivered: (State.DETACHED,),
        CloseItem: (State.CLOSING,),
        Refresh: (State.DETACHED,),
        Tick: (State.DETACHED,),
    },
    State.ENDING: {
        Received: (State.ENDING,),
        Faulted: (State.ENDING,),
        Gone: (State.LEAVING, State.OVER),
        Replied: (State.ENDING, State.LEAVING, State.OVER),
        Refused: (State.OVER,),
        Failed: (State.OVER,),
        Unreachable: (State.ENDING, State.OVER),
        Delivered: (State.ENDING,),
        CloseItem: (State.ENDING,),
        Refresh: (State.ENDING,),
        Tick: (State.ENDING,),
    },
    State.FAILING: {
        Received: (State.FAILING,),
        Faulted: (State.FAILING,),
        Gone: (State.LEAVING,),
        Replied: (State.FAILING, State.LEAVING, State.OVER),
        Refused: (State.OVER,),
        Failed: (State.OVER,),
        Unreachable: (State.FAILING, State.OVER),
        Delivered: (State.FAILING,),
        CloseItem: (State.FAILING,),
        Refresh: (State.FAILING,),
        Tick: (State.FAILING, State.LEAVING),
    },
    State.CLOSING: {
        Received: (State.CLOSING, State.LEAVING, State.OVER),
        Faulted: (State.LEAVING, State.OVER),
        Gone: (State.LEAVING, State.OVER),
        Replied: (State.CLOSING,),
        Refused: (State.CLOSING,),
        Failed: (State.CLOSING,),
        Unreachable: (State.CLOSING,),
        Delivered: (State.CLOSING,),
        CloseItem: (State.CLOSING,),
        Refresh: (State.CLOSING,),
        Tick: (State.CLOSING, State.LEAVING, State.OVER),
    },
    State.LEAVING: {
        Received: (State.LEAVING,),
        Faulted: (State.LEAVING,),
        Gone: (State.LEAVING,),
        Replied: (State.LEAVING, State.OVER),
        Refused: (State.OVER,),
        Failed: (State.OVER,),
        Unreachable: (State.LEAVING, State.OVER),
        Delivered: (State.LEAVING,),
        CloseItem: (State.LEAVING,),
        Refresh: (State.LEAVING,),
        Tick: (State.LEAVING,),
    },
    State.OVER: dict.fromkeys(  # what comes late
        (
            *(Received, Faulted, Gone, Replied, Refused, Failed, Unreachable),
            *(Delivered, CloseItem, Refresh, Tick),
        ),
        (State.OVER,),
    ),
}
"""Where each event may lead. What is not listed cannot happen."""
