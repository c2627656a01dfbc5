"""The backend side of GRIP for Python web frameworks; the one part of `grip` that may do I/O.

It reads the clock and the environment, sends publishes and writes to the log `grip.web`, so that an
application has nothing to join by itself. What a message means is decided in the rest of `grip`,
which knows nothing of this package. To read it:

- `settings`: `GRIP_URL` and `GRIP_VERIFY_KEY`, where the proxies are and whose signatures count.
- `replies`: what a handler answers, in the form that Flask, Django and Starlette all take.
- `gate`: who may speak GRIP with the application; `wsgi` and `asgi` put it in front of one.
- `publish`: sends items to all proxies, waiting or not. Needs `httpx`, the extra `web`.

`docs/library.md` shows how to use it.
"""

from grip.web.replies import hold_response, hold_sse, hold_stream, websocket_reply

__all__ = ["hold_response", "hold_sse", "hold_stream", "websocket_reply"]
