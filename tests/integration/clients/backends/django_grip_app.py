"""A Django project with `django-grip`: its middleware, its views for WebSockets, its publishing."""

import os

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt

settings.configure(
    ALLOWED_HOSTS=["*"],
    GRIP_PREFIX="site-",
    GRIP_PROXY_REQUIRED=True,
    GRIP_URL=os.environ["GRIP_URL"],
    MIDDLEWARE=["django_grip.GripMiddleware"],
    ROOT_URLCONF=__name__,
    SECRET_KEY=os.urandom(16).hex(),
)

from django_grip import (  # noqa: E402  it reads the settings when it is imported
    publish,
    set_hold_longpoll,
    set_hold_stream,
    websocket_only,
)
from gripcontrol import (  # noqa: E402
    HttpResponseFormat,
    HttpStreamFormat,
    WebSocketMessageFormat,
)


def stream(request: HttpRequest) -> HttpResponse:
    """Keep the response open."""
    set_hold_stream(request, "test", keep_alive_data="alive\n", keep_alive_timeout=1)
    return HttpResponse("open\n", content_type="text/plain")


def response(request: HttpRequest) -> HttpResponse:
    """Wait for one message; without one, nothing has been modified."""
    set_hold_longpoll(request, ["test", "other"], timeout=5)
    return HttpResponse(status=304)


def chapter(request: HttpRequest, number: int) -> HttpResponse:
    """Show one of three chapters, and where it goes on."""
    if number < 3:
        instruct = request.grip.start_instruct()
        instruct.add_channel("test")
        instruct.set_next_link(request.path.replace(str(number), str(number + 1)))
    return HttpResponse(f"chapter {number}\n", content_type="text/plain")


@csrf_exempt
@websocket_only
def ws(request: HttpRequest) -> None:
    """Echo, and count in the metadata of the connection."""
    connection = request.wscontext
    if connection.is_opening():
        connection.accept()
        connection.subscribe("test")
    while connection.can_recv():
        message = connection.recv()
        if message in (None, "close"):
            connection.close(None if "forget" in connection.meta else connection.close_code)
            break
        if message == "forget codes":
            connection.meta["forget"] = "yes"
        connection.meta["count"] = str(int(connection.meta.get("count", "0")) + 1)
        connection.send(f"{connection.meta['count']} {message}")


@csrf_exempt
def publish_form(request: HttpRequest) -> HttpResponse:
    """Publish to long polls, streams and WebSockets with one item."""
    text = request.POST["text"]
    formats = [
        HttpResponseFormat(code=201, headers={"X-Message": "yes"}, body=text),
        HttpStreamFormat(text + "\n"),
        WebSocketMessageFormat(text),
    ]
    publish("test", formats, blocking=True)
    return HttpResponse("published\n")


urlpatterns = [
    path("stream", stream),
    path("response", response),
    path("a tale/<int:number>", chapter),
    path("ws", ws),
    path("publish", publish_form),
]
application = get_wsgi_application()
