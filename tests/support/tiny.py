"""A component in the text format that calls one function of `http-body`, and no more."""

__all__ = ["HANDLER", "tiny"]

HANDLER = '(export "fastly:compute/http-incoming@0.1.0" (instance $handler))'

TINY = """
(component
  (import "fastly:compute/http-body@0.1.0" (instance $body
    (export "body" (type (sub resource)))
    (export "{function}" (func))))
  (import "fastly:compute/http-req@0.1.0" (instance $req
    (export "request" (type (sub resource)))))
  {imports}
  (alias export $body "body" (type $b))
  (alias export $req "request" (type $r))
  (alias export $body "{function}" (func $new))
  (core func $lowered (canon lower (func $new)))
  (core module $m
    (import "" "new" (func $new))
    (func (export "handle") (param i32 i32) (result i32) (call $new) (i32.const 0)))
  (core instance $i (instantiate $m (with "" (instance (export "new" (func $lowered))))))
  (func $handle (param "request" (own $r)) (param "body" (own $b)) (result (result))
    (canon lift (core func $i "handle")))
  (instance $handler (export "handle" (func $handle)))
  {exports}
)
"""


def tiny(imports: str = "", exports: str = HANDLER, function: str = "new") -> str:
    """Return its text, with further imports, and the function it calls."""
    return TINY.format(imports=imports, exports=exports, function=function)
