"""What the scripted guest runs to make the calls of `OPERATIONS`, a JSON text, one after the other.

`tests.support.calls` writes the operations and says how they look. Handles that calls return are
kept by class and by kind; a call whose handle is not there yet is left out. An error of the
platform is an answer like any other; anything else that is raised here ends the guest.
"""

# ruff: noqa: F821 - runs among the names of the scripted guest
import typing

live, dead = [], []
done = {}


class NotThereError(Exception):
    """There is no such handle."""


def camel(name):
    """Return how the bindings call a resource."""
    return "".join(part[:1].upper() + part[1:] for part in name.split("-"))


def resolve(key):
    """Return the function, its parameters' types, and whether the first is the object's own."""
    interface, _, name = key.partition("/")
    module = globals()[interface.replace("-", "_")]
    kind, bracket, rest = name.partition("]")
    if not bracket:
        function = getattr(module, name.replace("-", "_"))
        hints = typing.get_type_hints(function)
        owner = None
    elif kind == "[constructor":
        function = getattr(module, camel(rest))
        hints = typing.get_type_hints(function.__init__)
        owner = None
    else:
        resource, _, method = rest.partition(".")
        class_ = getattr(module, camel(resource))
        function = getattr(class_, method.replace("-", "_"))
        hints = typing.get_type_hints(function)
        owner = class_ if kind == "[method" else None
    hints.pop("return", None)
    return function, ([owner] if owner else []) + list(hints.values())


def pick(class_, kind, number):
    """Return a handle of a class: of one kind, of any (`*`), or one that is used up (`dead`)."""
    found = (
        [thing for thing in dead if isinstance(thing, class_)]
        if kind == "dead"
        else [thing for thing, k in live if isinstance(thing, class_) and kind in ("*", k)]
    )
    if not found:
        raise NotThereError
    return found[number % len(found)]


def build(hint, value, given):
    """Make what the bindings want from what the operation says; note handles given away."""
    inner = [one for one in typing.get_args(hint) if one is not type(None)]
    if len(inner) < len(typing.get_args(hint)):  # an option
        if value is None:
            return None
        hint = inner[0] if len(inner) == 1 else hint
    if not isinstance(value, dict):
        return value
    ((tag, content),) = value.items()
    match tag:
        case "text":
            return content[0] * content[1]
        case "bytes":
            return bytes.fromhex(content[0]) * content[1]
        case "list":
            return [build(inner[0], item, given) for item in content]
        case "tuple":
            return tuple(build(h, item, given) for h, item in zip(inner, content, strict=True))
        case "record":
            hints = typing.get_type_hints(hint).values()
            return hint(*(build(h, v, given) for h, v in zip(hints, content, strict=True)))
        case "variant":
            place, payload = content
            class_ = inner[place] if inner else hint
            hints = list(typing.get_type_hints(class_).values())
            return class_(build(hints[0], payload, given)) if hints else class_()
        case "enum":
            return list(hint)[content]
        case "flags":
            return hint(content)
        case "handle":
            kind, number, own = content
            thing = pick(hint, kind, number)
            if own:
                given.append((thing, thing.handle))
            return thing
    raise AssertionError(tag)


def keep(result, kind):
    """Keep the handles in an answer."""
    if isinstance(result, tuple | list):
        for item in result:
            keep(item, kind)
    elif hasattr(result, "handle"):
        live.append((result, kind))


def bury(given):
    """Note that handles are used up; their numbers stay, to be passed once more."""
    things = [thing for thing, _ in given]
    live[:] = [(thing, kind) for thing, kind in live if all(thing is not t for t in things)]
    dead.extend(things)
    for thing, number in given:
        thing.handle = number


def perform(key, arguments, kind):
    """Make one call; return what came of it in a word."""
    function, hints = resolve(key)
    given = []
    try:
        values = [build(h, v, given) for h, v in zip(hints, arguments, strict=True)]
    except NotThereError:
        return "left out"
    try:
        result = function(*values)
    except Err as error:
        return f"error {type(error.value).__name__}"
    finally:
        bury(given)
    keep(result, kind)
    return "ok"


def drop(class_, number):
    """Drop a handle, of the class of that place among those there are."""
    classes = sorted({type(thing).__name__ for thing, _ in live})
    if classes:
        name = classes[class_ % len(classes)]
        thing = pick(type(next(t for t, _ in live if type(t).__name__ == name)), "*", number)
        number = thing.handle
        thing.__exit__(None, None, None)
        bury([(thing, number)])


live += [(request, ""), (body, "body")]
for key, arguments, kind in json.loads(OPERATIONS):
    if key == "drop":
        drop(*arguments)
    else:
        done.setdefault(key, []).append(perform(key, arguments, kind))
sys.stdout.write(f"made: {json.dumps(done)}\n")
failure(answer, done)  # if the calls have answered already, this is an error
