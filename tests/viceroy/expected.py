"""The differences from Viceroy that are intended, and why; each is a row of docs/host.md."""

import fnmatch
from collections.abc import Iterable

__all__ = ["EXPECTED", "reason_of", "unseen"]

EXPECTED: dict[str, str] = {
    # backend
    "backend-facts-*.*get_*": "getters tell what is set, where Viceroy says `unsupported`",
    "dynamic-*.*get_*": "getters tell what is set, where Viceroy says `unsupported`",
    "dynamic-targets.*": "targets that cannot be reached are refused at once",
    "dynamic-options.ca_none": "a CA certificate that is none is refused",
    "dynamic-options.odd_version": "numbers that are no TLS version are refused",
    "fetch-from-secure*.origin": "ALPN says http/1.1 where Viceroy says nothing",
    "fetch-from-secure*.fields": "the origin's answer is longer by that",
    "pass-through-secure.protocol": "ALPN says http/1.1 where Viceroy says nothing",
    "shielding.there 999": "URLs are as the manifest has them, Viceroy adds a slash",
    "shielding.url name": "URLs are as the manifest has them, Viceroy adds a slash",
    "shielding.*": "what is no URL is refused at once",
    # http-req
    "*.sent": "errors of `send` come with a detail",
    "send-async.*": "errors of `send` come with a detail",
    "send-streaming-left-open.response": "the error is that of a connection that ended",
    "dynamic-tls.*": "errors of `send` come with a detail, and tell a TLS origin that hangs up",
    "dynamic-timeouts.first byte": "errors of `send` come with a detail",
    "fetch-as-it-goes-out.origin": "`Host` goes first, as RFC 9110 §7.2 advises; case of names",
    "hand-off-as-it-goes-out.fields": "case of names",
    "hand-off*.fields": "`Pushpin-Route` goes last",
    "fetch-uri-without-any-host.origin": "`Host` names the port of the backend",
    "fetch-version-*": "HTTP/1.1 is spoken whatever version was set",
    "answer/http10.version": "responses are HTTP/1.1 whatever the backend speaks",
    "uri-/a#b.uri": "what the client sent after a # stays",
    "uri-absolute.uri": "an absolute target wins over `Host` (RFC 9112 §3.2.2)",
    # http-resp
    "passed-on/fields.headers": "removing a field leaves the others in order on the wire",
    "*to-head.headers": "a HEAD is told the length",
    "head-with-length.headers": "a HEAD is told the length",
    "framing-connection-*.headers": "fields of the connection are the server's own",
    "framing-upgrade-*.headers": "fields of the connection are the server's own",
    "framing-both-manually.*": "both framing fields at once count as automatic",
    "client-asks-to-close.headers": "closing is announced (RFC 9112 §9.6)",
    "streaming-body-sent-twice.*": "a stream sent again is `generic-error`; Viceroy panics",
    "*.trailers": "trailers are sent and received",
    "trailers-*": "trailers are sent and received",
    "send-streaming-with-trailers.origin": "trailers are sent and received",
    # life cycle and hand-off
    "end-by-*.body": "the client reads where to look, not the wasm backtrace",
    "end-by-*.headers": "texts of the host have a Content-Type",
    "reuse-and-trap.*": "the client reads where to look, not the wasm backtrace",
    "select-nothing.*": "the client reads where to look, not the wasm backtrace",
    "hand-off*.body": "the reason of a failure in words of ours",
    "hand-off*.headers": "framing fields go last; texts of the host have a Content-Type",
    "send-after-hand-off.*": "framing fields and `Pushpin-Route` go last",
    "pass-through-secure-unknown-ca.*": "an untrusted certificate is a 500; Viceroy panics",
    "pass-through-*.headers": "framing fields go last; texts of the host have a Content-Type",
    "pass-through-*.body": "the reason of a failure in words of ours",
    "prints.log": "what is printed is logged line by line",
    "surroundings.heap": "the size of the heap is not known",
    # stores
    "rate-limits.*": "rates and penalty boxes are real",
    "kv-modes.generation of none": "`if-generation-match` needs that generation to be there",
    "kv-modes.delete m5": "`if-generation-match` needs that generation to be there",
    # cache and purge
    "cache-*.*swr": "`get-stale-while-revalidate-ns` works",
    "cache-*.*hits": "`get-hits` works",
    "purge.*swr": "`get-stale-while-revalidate-ns` works",
    "purge.*hits": "`get-hits` works",
    "cache-replace.*": "`replace` works",
    "cache-abandoned-body.*": "a body that was left open is no hit",
    "cache-wrong-length.*": "a body of another length than announced is no hit",
    "cache-vary.*": "a vary rule may have several blanks",
    "purge.purge none": "no key at all is a mistake",
    "purge-verbose.purge": "`purge-surrogate-key-verbose` works",
}
"""Reason by the names of differences, in which `*` stands for anything."""

SOMETIMES = {"passed-on/fields.headers"}
"""Those that need not be seen, because Viceroy's answer is another each time."""


def reason_of(name: str) -> str | None:
    """Return why this difference is intended, None if it is not."""
    return next((why for of, why in EXPECTED.items() if fnmatch.fnmatchcase(name, of)), None)


def unseen(names: Iterable[str]) -> list[str]:
    """Return what is expected and was not found; what an earlier pattern explains counts for it."""
    found = list(names)
    return [of for of in EXPECTED if of not in SOMETIMES and not fnmatch.filter(found, of)]
