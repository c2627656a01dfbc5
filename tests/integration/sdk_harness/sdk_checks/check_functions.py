"""Checks whose functions run in the service: the harness builds it, with `AutoViceroyTestBase`."""

import pytest
from fastly_compute.config_store import ConfigStore
from fastly_compute.exceptions.types.open_error import NotFound
from fastly_compute.testing import AutoViceroyTestBase, on_viceroy
from wit_world.imports import compute_runtime


class TestFunctions(AutoViceroyTestBase):
    REQUEST_TIMEOUT = 300  # on a busy machine it may still be compiled

    @on_viceroy
    def triple(cls, number: int) -> int:
        return 3 * number

    @on_viceroy
    def open_store(cls, name: str) -> None:
        ConfigStore.open(name)

    @on_viceroy
    def cpu_ms(cls) -> int:
        return compute_runtime.get_vcpu_ms()

    def test_values_come_back(self) -> None:
        assert self.triple(14) == 42
        assert self.cpu_ms() >= 0

    def test_exceptions_come_back(self) -> None:
        with pytest.raises(NotFound):
            self.open_store("nothing")
