#!/usr/bin/env bash
# In a build (Containerfile): install packages into /opt/gpdata in the versions of requirements.lock, and put what that
# added, and nothing that was there before, into /added.
#   install.sh ARGUMENTS-OF-UV-PIP-INSTALL...
set -euo pipefail
uv() { bash .ci/uv.sh python3 "$@"; }
[ -d /opt/gpdata ] || uv venv --quiet --python python3 /opt/gpdata
touch /before
uv pip install --quiet --python /opt/gpdata/bin/python --constraint requirements.lock \
    --build-constraints requirements.lock "$@"
mkdir -p /added
cd /opt/gpdata
find . -cnewer /before ! -type d -print0 | tar --create --null --files-from=- | tar --extract --directory /added
