"""GRIP, the protocol between a push proxy and its backend, sans-IO: no sockets, no clock.

Import what you need from the module that has it; this package imports nothing by itself, so that
a service which only answers requests does not pay for signing and publishing. To read it:

- `errors`: whose fault it is, and what to answer.
- `headers`, `json_object`: header fields and JSON objects, the ground everything stands on.
- `instruct`, `keep_alive`: what a backend tells the proxy; `instruct_encode`: how it is written.
- `items`, `sse`: what publishers send; `filters`, `json_patch`: what becomes of it on the way.
- `signature`: `Grip-Sig`, signed and verified; `endpoint`: `GRIP_URL`, and requests to publish.
- `hold` and its neighbours: a held request as a state machine, with its order and gaps.
- `ws_over_http`: WebSockets as a series of HTTP requests, both sides.

Only `web`, the hand for Python web frameworks, does I/O; nothing else here knows it.
"""
