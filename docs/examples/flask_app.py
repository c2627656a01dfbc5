"""GRIP with Flask; serve it by `flask --app flask_app run --port 8000`."""

from flask import Flask, abort, request

from grip.web import hold_response, hold_sse, hold_stream, websocket_reply
from grip.web.wsgi import GripMiddleware

app = Flask(__name__)
app.wsgi_app = GripMiddleware(app.wsgi_app)
PLAIN = {"Content-Type": "text/plain"}


@app.post("/ws")
def ws():
    """Echo every message."""
    connection = request.environ["grip"].websocket or abort(400)
    if connection.opening:
        connection.accept()
        connection.subscribe("test")
    for message in connection.receive():
        connection.send(message)
    return websocket_reply(connection)


@app.get("/stream")
def stream():
    """Keep the response open."""
    return "", PLAIN | hold_stream("test", keep_alive=b"\n")


@app.get("/sse")
def sse():
    """Keep the response open for server-sent events."""
    return "", hold_sse("test")


@app.get("/response")
def response():
    """Wait for one message."""
    return "", PLAIN | hold_response("test")
