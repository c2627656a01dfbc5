"""Makes a component ready to run, once.

`engine` loads it from the `cache` of compiled forms, has it compiled by a child process (`compile`)
if it is not there, and `linker` ties its imports.
"""
