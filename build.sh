#!/usr/bin/env bash
# Compiles the service in guest/ into two components from the same source:
#
#   bin/main.wasm  by the vendor's fastly-compute-py; this is what gets deployed
#   bin/edge.wasm  by componentize-py directly, against nothing but wit/
#
# Usage: build.sh [--setup-only]
#
# First it makes what the build needs and is not there yet: .venv with the pinned tools, .guest-env
# with the guest's own dependencies, typings/ with the bindings as mypy and editors want them. Then
# it builds. Both steps are skipped when nothing has changed. After the first run no network is
# needed. It works from any directory, alone or several at once, and whatever environment is active.
set -euo pipefail

unset CDPATH && cd "$(dirname "${BASH_SOURCE[0]}")"

# The caller's Python environment is none of ours. (How pip finds packages is the machine's.)
unset VIRTUAL_ENV CONDA_PREFIX PYTHONPATH PYTHONHOME PYTHONSTARTUP PYTHONSAFEPATH __PYVENV_LAUNCHER__
unset PIP_REQUIRE_VIRTUALENV PIP_TARGET PIP_PREFIX PIP_USER RUST_LOG
export PYTHONNOUSERSITE=1 PIP_DISABLE_PIP_VERSION_CHECK=1 RUST_BACKTRACE=0

WANTED=3.13 # what is fetched where no Python is new enough

fail() {
    echo "build.sh: $*" >&2
    exit 1
}

say() {
    echo "build.sh: $*" >&2
}

# run LOG COMMAND...: run a command quietly; the output goes to a file.
run() {
    "${@:2}" >"$1" 2>&1 </dev/null
}

# cause LOG: print the one line of a tool's output that says what went wrong, and where.
cause() {
    local place error
    # The guest's sources are mounted at /0 while their modules are imported.
    place=$(sed -nE 's|^ *File "/0/([^"]+)", line ([0-9]+).*|\1:\2: |p' "$1" | tail -n 1)
    error=$(grep -E '^ *([A-Za-z_.]+(Error|Exception|Exit|Interrupt)|ERROR|error)\b' "$1" | tail -n 1) ||
        error=$(grep -v '^ *$' "$1" | tail -n 1)
    echo "$place${error#"${error%%[![:space:]]*}"}"
}

# digest FILE...: print a hash of the files' names and contents.
digest() {
    .venv/bin/python -c '
import hashlib, pathlib, sys
state = hashlib.sha256()
for name in sorted(sys.argv[1:]):
    state.update(f"{name}\0".encode() + pathlib.Path(name).read_bytes() + b"\0")
print(state.hexdigest())' "$@"
}

# lock: let one build.sh work at a time in this directory. The lock ends with this process.
lock() {
    mkdir -p bin
    exec 9>bin/.lock
    "$1" -c '
import fcntl, sys
try:
    fcntl.flock(9, fcntl.LOCK_EX | fcntl.LOCK_NB)
except BlockingIOError:
    print("build.sh: waiting for another build.sh", file=sys.stderr)
    fcntl.flock(9, fcntl.LOCK_EX)'
}

# usable PYTHON: tell whether it runs, is new enough, and can make a virtual environment.
usable() {
    "$1" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 12))' >/dev/null 2>&1
}

# find_python: print a usable Python, getting one by uv if there is none.
find_python() {
    local candidate uv
    for candidate in python3.13 python3.12 python3.14 python3 python \
        "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.1[2-9]*/bin/python3 .python/*/bin/python3; do
        if usable "$candidate"; then
            echo "$candidate"
            return
        fi
    done
    if uv=$(find_uv); then
        candidate=$("$uv" python find "$WANTED" 2>/dev/null) && usable "$candidate" ||
            candidate=$(fetch_python "$uv") || return 1
        echo "$candidate"
        return
    fi
    return 1
}

# find_uv: print a uv, installing one beside the project if there is none.
find_uv() {
    local python
    if command -v uv; then
        return
    fi
    if [ ! -x .python/uv/bin/uv ]; then
        for python in python3 python; do
            "$python" -m venv --clear .python/uv &&
                .python/uv/bin/python -m pip install --quiet uv && break
        done >/dev/null 2>&1 || return 1
    fi
    echo .python/uv/bin/uv
}

# fetch_python UV: let uv download a Python into .python/ and print its path.
fetch_python() {
    say "no Python 3.12 or later here, fetching $WANTED into .python/"
    UV_PYTHON_INSTALL_DIR=.python "$1" python install --quiet --no-bin "$WANTED" >/dev/null 2>&1 &&
        UV_PYTHON_INSTALL_DIR=.python "$1" python find --managed-python "$WANTED"
}

# setup: make .venv and .guest-env from their lock files.
setup() {
    local key guest=.guest-env/lib/python3/site-packages
    if ! usable .venv/bin/python; then
        say "making .venv"
        "$PYTHON" -m venv --clear .venv || fail "$PYTHON cannot make a virtual environment in .venv"
    fi
    key=$(digest requirements.lock guest/requirements.lock pyproject.toml build.sh)
    if [ "$(cat .venv/.key 2>/dev/null)" = "$key" ] && [ -d "$guest" ]; then
        return
    fi
    say "installing what requirements.lock names"
    # A .venv that somebody made with uv has none.
    .venv/bin/python -c 'import pip' 2>/dev/null || .venv/bin/python -m ensurepip >/dev/null
    pip install --require-hashes --requirement requirements.lock
    pip install --no-deps --no-build-isolation --editable .
    rm -rf .guest-env
    pip install --require-hashes --only-binary :all: --no-compile --target "$guest" \
        --requirement guest/requirements.lock
    echo "$key" >.venv/.key
}

pip() {
    run bin/setup.log .venv/bin/python -m pip "$@" ||
        fail "pip ${*: -1}: $(cause bin/setup.log) (all of it: bin/setup.log)"
}

# bindings: generate typings/ from wit/.
bindings() {
    local key
    key=$(digest wit/*.wit requirements.lock build.sh)
    if [ "$(cat typings/.key 2>/dev/null)" != "$key" ]; then
        rm -rf typings
        run bin/typings.log .venv/bin/componentize-py --wit-path wit --world fanout-service \
            bindings typings || fail "wit/: $(cause bin/typings.log) (all of it: bin/typings.log)"
        echo "$key" >typings/.key
    fi
}

# build: compile what has changed; both components at once.
build() {
    local key stage name started=$SECONDS sources
    sources=$(find guest grip -name '*.py')
    # shellcheck disable=SC2086  # our own file names have no blanks
    key=$(digest $sources wit/*.wit requirements.lock guest/requirements.lock build.sh)
    rm -rf bin/.stage
    for name in main edge; do
        if [ "$(cat "bin/.$name.key" 2>/dev/null)" != "$key" ] || [ ! -s "bin/$name.wasm" ]; then
            # A folder with our two packages and nothing else: the tools search all of it.
            stage=bin/.stage/$name
            mkdir -p "$stage"
            tar -cf - $sources | tar -xf - -C "$stage" # keeps the paths
            "compile_$name" "$stage" &
        fi
    done
    wait
    for name in main edge; do
        if [ -d "bin/.stage/$name" ]; then
            [ -e "bin/.stage/$name/done" ] ||
                fail "bin/$name.wasm: $(cause "bin/$name.log") (all of it: bin/$name.log)"
            mv "bin/.stage/$name/out.wasm" "bin/$name.wasm"
            echo "$key" >"bin/.$name.key"
            say "bin/$name.wasm, $(($(wc -c <"bin/$name.wasm") / 1000)) kB, $((SECONDS - started)) s"
        fi
    done
    rm -rf bin/.stage
}

compile_main() {
    cd "$1"
    run ../../main.log ../../../.venv/bin/fastly-compute-py build \
        --entry guest.app --virtualenv ../../../.guest-env --output out.wasm && touch done
}

compile_edge() {
    cd "$1"
    # Without VIRTUAL_ENV it would add the packages of its own Python to those of the guest.
    VIRTUAL_ENV=$PWD/../../../.guest-env run ../../edge.log ../../../.venv/bin/componentize-py \
        --wit-path ../../../wit --world fanout-service \
        componentize guest.app --python-path . --output out.wasm && touch done
}

case "${*:-}" in
"" | --setup-only) ;;
*) fail "usage: build.sh [--setup-only]" ;;
esac

PYTHON=.venv/bin/python
usable "$PYTHON" || PYTHON=$(find_python) ||
    fail "no Python 3.12 or later found, nor could one be fetched: install python$WANTED, with its venv module, or uv"
lock "$PYTHON"
setup
bindings
[ "${1:-}" = --setup-only ] || build
