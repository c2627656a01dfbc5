"""A local Fastly Compute with Fanout: runs the artifact that is deployed."""
