#!/usr/bin/env bash
# Run uv: the one on the PATH, else one of our own in .tools/, installed from the package registry.
# Usage: .ci/uv.sh PYTHON UV-ARGUMENTS...
set -euo pipefail
python=$1
shift
if command -v uv >/dev/null 2>&1; then
    exec uv "$@"
fi
tools="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)/.tools"
if [ ! -x "$tools/bin/uv" ]; then
    echo "env: no uv on the PATH; installing one into .tools/" >&2
    # --target needs no venv module, which Debian packages apart; --break-system-packages only lets pip run at all:
    # nothing outside .tools/ is written.
    if ! PIP_BREAK_SYSTEM_PACKAGES=1 "$python" -m pip install --quiet --disable-pip-version-check --root-user-action ignore \
        --upgrade --target "$tools" uv; then
        rm -rf "$tools"
        "$python" -m venv "$tools" || {
            echo "env: neither pip nor venv works for $python. Install one (Debian: apt install python3-pip), or uv itself." >&2
            exit 2
        }
        "$tools/bin/python" -m pip install --quiet --disable-pip-version-check uv
    fi
fi
exec "$tools/bin/uv" "$@"
