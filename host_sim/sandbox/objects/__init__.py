"""What a guest's handles stand for: requests, responses, bodies, backends, secrets.

They belong to one sandbox and are used on its thread only; what several sandboxes share is in
`stores` and the `cache`.
"""
