"""GRIP with Django, in one file; serve it by `python django_app.py runserver 8000`."""

import os
import sys

from django.conf import settings
from django.core.management import execute_from_command_line
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse, HttpResponseBadRequest
from django.urls import path
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST, require_safe

from grip.web import hold_response, hold_sse, hold_stream, websocket_reply
from grip.web.wsgi import GripMiddleware

settings.configure(
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    SECRET_KEY=os.urandom(16).hex(),
    WSGI_APPLICATION=f"{__name__}.application",
)


@csrf_exempt  # the proxy signs instead
@require_POST
def ws(request):
    """Echo every message."""
    connection = request.environ["grip"].websocket
    if connection is None:
        return HttpResponseBadRequest()
    if connection.opening:
        connection.accept()
        connection.subscribe("test")
    for message in connection.receive():
        connection.send(message)
    body, status, headers = websocket_reply(connection)
    return HttpResponse(body, status=status, headers=headers)


@require_safe
def stream(request):
    """Keep the response open."""
    return HttpResponse(headers={"Content-Type": "text/plain"} | hold_stream("test"))


@require_safe
def sse(request):
    """Keep the response open for server-sent events."""
    return HttpResponse(headers=hold_sse("test"))


@require_safe
def response(request):
    """Wait for one message."""
    return HttpResponse(headers={"Content-Type": "text/plain"} | hold_response("test"))


urlpatterns = [path(view.__name__, view) for view in (ws, stream, sse, response)]
application = GripMiddleware(get_wsgi_application())

if __name__ == "__main__":
    execute_from_command_line(sys.argv)
