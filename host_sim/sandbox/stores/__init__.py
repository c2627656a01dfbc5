"""What outlives a sandbox and is shared by all of them, from any thread: KV stores and rates."""
