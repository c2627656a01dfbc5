"""Where a guest's calls cross into Python, and nowhere else.

`values` says how values look to host functions; `binding` stands between a call and its function,
whichever of the two ways converts the values: `direct` (with `lifting`, `lowering` and `memory`),
the fast one, or `public`, which works with any version of wasmtime-py. `selftest` tells whether a
way works. `handles` is what a guest's numbers stand for.
"""
