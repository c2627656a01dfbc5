"""One cache for all sandboxes, under the core cache and the HTTP cache. Host contract §2.11.

`store` has its API; `slots` is one key with its objects, duties and who waits, `shelf` all objects
with their order of use and surrogate keys, `objects` and `content` what is stored and its bytes,
`entries` what is given out. `lock` rings bells when it is free, never before.
"""
