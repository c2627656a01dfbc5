"""A Django project with `django-eventstream`: rooms with reliable events, kept in a database."""

import json
import os

import django
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.core.management import call_command
from django.http import HttpRequest, HttpResponse
from django.urls import include, path
from django.views.decorators.csrf import csrf_exempt

settings.configure(
    ALLOWED_HOSTS=["*"],
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": os.environ["DATABASE"],
            "OPTIONS": {"init_command": "PRAGMA synchronous=OFF"},
        }
    },
    EVENTSTREAM_CHANNELMANAGER_CLASS=f"{__name__}.Rooms",
    EVENTSTREAM_STORAGE_CLASS="django_eventstream.storage.DjangoModelStorage",
    GRIP_URL=os.environ["GRIP_URL"],
    INSTALLED_APPS=[
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django_eventstream",
    ],
    MIDDLEWARE=["django_grip.GripMiddleware"],
    ROOT_URLCONF=__name__,
    SECRET_KEY=os.urandom(32).hex(),
)
django.setup()
call_command("migrate", verbosity=0)

from django_eventstream import channel_permission_changed, send_event  # noqa: E402  needs settings
from django_eventstream.channelmanager import DefaultChannelManager  # noqa: E402
from django_eventstream.storage import DjangoModelStorage  # noqa: E402

PAGE = """\
<!doctype html>
<title>Room</title>
<script>
  const received = [], opened = [];
  const source = new EventSource("/events/" + location.search);
  source.onopen = () => opened.push(Date.now());
  source.addEventListener("message", (event) => received.push(JSON.parse(event.data).text));
</script>
"""
closed: set[str] = set()


class Rooms(DefaultChannelManager):
    """Lets everybody into rooms that are not closed."""

    def can_read_channel(self, user, channel):
        """Tell whether the room is open."""
        return channel not in closed


def page(request: HttpRequest) -> HttpResponse:
    """Show a page that listens to the rooms in its query."""
    return HttpResponse(PAGE)


@csrf_exempt
def send(request: HttpRequest) -> HttpResponse:
    """Send texts to a room; those that are `lost` are kept but not published."""
    room = request.POST["room"]
    for text in request.POST.getlist("text"):
        if request.POST.get("lost"):
            DjangoModelStorage().append_event(room, "message", json.dumps({"text": text}))
        else:
            send_event(room, "message", {"text": text}, async_publish=False)
    return HttpResponse("sent\n")


@csrf_exempt
def close(request: HttpRequest) -> HttpResponse:
    """Close a room for everybody."""
    room = request.POST["room"]
    closed.add(room)
    channel_permission_changed(None, room)
    return HttpResponse("closed\n")


urlpatterns = [
    path("events/", include("django_eventstream.urls")),
    path("page", page),
    path("send", send),
    path("close", close),
]
application = get_asgi_application()
