"""A check that fails, for the plugin to show what the service said."""

import os

from fastly_compute.testing import ViceroyTestBase


class TestFailing(ViceroyTestBase):
    WASM_FILE = os.environ["SDK_CHECKS_WASM"]
    REQUEST_TIMEOUT = 300

    def test_failing(self, viceroy_server: object) -> None:
        assert self.get("/log?text=before-it-failed").text == "something else"
