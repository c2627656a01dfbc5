"""The service under test: a Flask application, and a Bottle application below `/bottle`."""

import logging
import sys

import bottle
import flask
from fastly_compute import requests
from fastly_compute.config_store import ConfigStore
from fastly_compute.exceptions.types.open_error import NotFound
from fastly_compute.log import FastlyLogHandler, LogEndpoint
from fastly_compute.wsgi import WsgiHttpIncoming
from werkzeug.middleware.dispatcher import DispatcherMiddleware

flask_app = flask.Flask(__name__)
bottle_app = bottle.Bottle()
served = 0


@flask_app.get("/")
def index():
    return {"python": list(sys.version_info[:2]), "host": flask.request.host}


@flask_app.post("/echo")
def echo():
    return flask.request.get_data(), 201, {"Content-Type": flask.request.content_type}


@flask_app.get("/count")
def count():
    global served  # noqa: PLW0603 - of this sandbox, as long as it lives
    served += 1
    return {"served": served}


@flask_app.get("/config/<store>/<key>")
def config(store: str, key: str):
    try:
        with ConfigStore.open(store) as opened:
            return {"value": opened.get(key), "there": key in opened}
    except NotFound:
        return {"error": "not-found"}, 404


@flask_app.get("/log")
def log():
    text = flask.request.args["text"]
    with LogEndpoint.open("checks") as endpoint:
        endpoint.write(f"first {text}\n")
        endpoint.write(f"two\nlines {text}".encode())
    logger = logging.getLogger("of-python")
    handler = FastlyLogHandler("python-logs")
    logger.addHandler(handler)
    logger.warning("warned %s", text)
    logger.removeHandler(handler)
    print("printed", text)
    return "logged"


@flask_app.get("/fetch")
def fetch():
    arguments = flask.request.args
    options: dict = {}
    if "backend" in arguments:
        options["fastly_backend"] = arguments["backend"]
    if "first_byte" in arguments:
        first_byte = float(arguments["first_byte"])
        options["fastly_timeout"] = requests.TimeoutConfig(connect=0.001, first_byte=first_byte)
    try:
        response = requests.get(arguments["url"], headers={"X-Sent": "yes"}, **options)
    except requests.RequestException as error:
        return {"error": type(error).__name__}, 502
    return {"status": response.status_code, "headers": response.headers, "body": response.text}


@bottle_app.get("/hello/<name>")
def hello(name: str):
    bottle.response.set_header("X-Framework", "bottle")
    return f"hello {name}"


@bottle_app.post("/form")
def form():
    return {"given": bottle.request.forms.get("field"), "query": dict(bottle.request.query)}


HttpIncoming = WsgiHttpIncoming(
    DispatcherMiddleware(flask_app, {"/bottle": bottle_app}), reuse_sandboxes_for_ms=2000
)
