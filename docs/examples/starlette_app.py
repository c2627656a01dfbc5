"""GRIP with Starlette, and so with FastAPI; serve it by `uvicorn starlette_app:app`."""

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from grip.web import hold_response, hold_sse, hold_stream, websocket_reply
from grip.web.asgi import GripMiddleware


async def ws(request):
    """Echo every message."""
    connection = request.scope["grip"].websocket
    if connection is None:
        raise HTTPException(400)
    if connection.opening:
        connection.accept()
        connection.subscribe("test")
    for message in connection.receive():
        connection.send(message)
    return Response(*websocket_reply(connection))


async def stream(request):
    """Keep the response open."""
    return PlainTextResponse(headers=hold_stream("test", keep_alive=b"\n"))


async def sse(request):
    """Keep the response open for server-sent events."""
    return Response(headers=hold_sse("test"))


async def response(request):
    """Wait for one message."""
    return PlainTextResponse(headers=hold_response("test"))


app = Starlette(
    routes=[
        Route("/ws", ws, methods=["POST"]),
        Route("/stream", stream),
        Route("/sse", sse),
        Route("/response", response),
    ],
    middleware=[Middleware(GripMiddleware)],
)
