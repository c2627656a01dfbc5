"""HTTP's rules for caches, as functions of messages and the time: RFC 9111, 9110 §13 and §14, 5861.

- `directives` reads the fields that speak to caches.
- `storing` says what of a response may be kept, for how long and under which keys.
- `validating` makes the request that fills the cache and understands a 304.
- `delivering` makes of a stored response what the client asked for.

Nothing here waits, stores or knows a sandbox. What the vendor documents comes first; where it is
silent the RFC decides.
"""
