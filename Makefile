# The commands people and CI use; CONTRIBUTING.md says what each is for.
.PHONY: setup build serve test check bench test-viceroy test-autobahn

PY := .venv/bin/python

setup:
	@./build.sh --setup-only

build:
	@./build.sh

# SERVE_FLAGS='--addr 127.0.0.1:8080' make serve
serve: build
	@exec .venv/bin/host-sim serve $(SERVE_FLAGS)

# Most tests wait for something most of the time, so more of them run than there are cores; those
# of one file stay together.
test: build
	@$(PY) -m pytest -q -n 3 --dist loadfile $(TEST_FLAGS)

check: setup
	@$(PY) -m ruff format --check
	@$(PY) -m ruff check
	@$(PY) -m mypy
	@$(PY) -m pytest -q -n 2 -m "not slow and not wasm" tests/unit tests/property

# BENCH_FLAGS='--only fan_out --repeat 1' make bench
bench: build
	@$(PY) -m pip install --quiet --require-hashes --requirement bench/requirements.lock
	@$(PY) -m bench $(BENCH_FLAGS)

test-viceroy: build
	@$(PY) -m pytest -rs -v tests/integration/test_viceroy.py tests/integration/test_other_languages.py
	@$(PY) -m tests.viceroy

# AUTOBAHN_FLAGS="--python2 PYTHON --cases '9.*'" make test-autobahn
test-autobahn: setup
	@$(PY) -m tests.autobahn $(AUTOBAHN_FLAGS)
