#!/usr/bin/env bash
# Checks deploy/ as the test suite does: tests/deploy/run.sh [--weir PROGRAM]
# Packages and what is rendered go to target/deploy.
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
root="$(cd "$here/../.." && pwd)"
work="$root/target/deploy"
if ! cmp -s "$here/requirements.txt" "$work/requirements.txt"; then
    python3 -m venv --clear "$work/venv"
    "$work/venv/bin/python" -m pip install --quiet --disable-pip-version-check --requirement "$here/requirements.txt"
    cp "$here/requirements.txt" "$work/requirements.txt"
fi
exec "$work/venv/bin/python" -B "$here/main.py" --root "$root" --work "$work" "$@"
