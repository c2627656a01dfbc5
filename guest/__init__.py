"""The service, compiled into `bin/main.wasm`: `app` decides by `routing`, answers by `handlers`.

Everything here but `app` and `bindings` is ordinary Python without I/O and is tested as such.
What happens at import happens while the component is built: the modules' memory is what gets
deployed. So nothing here may read the clock, random bytes or the environment at import.
"""

import sys
import types

try:
    import _ssl  # noqa: F401  # only a question: is there TLS here?
except ImportError:
    # In the component there is none, and PyJWT cannot be imported without it: its client for key
    # sets wants `ssl` and all of `urllib.request`. Nobody here fetches keys, so an empty stand-in
    # does, and keeps two megabytes of unused modules out of the component.
    sys.modules["jwt.jwks_client"] = types.ModuleType("jwt.jwks_client")
    sys.modules["jwt.jwks_client"].PyJWKClient = None  # type: ignore[attr-defined]  # a stand-in
