"""A project of somebody who tests a service with the SDK's harness; see `test_sdk_harness`."""
