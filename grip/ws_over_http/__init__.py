"""WebSocket-over-HTTP: events, control messages, and both sides of a connection, sans-IO.

`events` and `control` are codecs; `context` is a backend's side of one request, `session` the
proxy's side of one connection. Source: GRIP §11, §12.
"""
