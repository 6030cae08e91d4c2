# Sourced by ./start and ./test: makes .venv from locked requirements, installs Kilocam into it,
# fetches and converts models, fetches the demo's footage (both into KILOCAM_CACHE or ~/.cache).
#   setup run|test
# A stamp of what was installed makes the next call a no-op. No global changes, no root.
setup() {
  set -eu
  lock="requirements/$1.txt"
  stamp=".venv/.kilocam-$1"
  # The page is built when Kilocam is installed: a newer page is a reason to install it again.
  want=$( (cat "$lock" pyproject.toml hatch_build.py tools/*.py tools/*.json
    find src/kilocam/web/page -name node_modules -prune -o -type f -print | sort | xargs cat) | sha256sum)
  [ "$(cat "$stamp" 2>/dev/null || true)" = "$want" ] && return 0
  python="${KILOCAM_PYTHON:-python3}"
  "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || {
    echo "kilocam needs Python 3.11 or newer; '$python' is not: install it or set KILOCAM_PYTHON=/path/to/python3" >&2
    exit 1
  }
  [ -x .venv/bin/python ] || "$python" -m venv .venv || {
    echo "cannot make .venv with '$python -m venv'; on Debian: apt-get install python3-venv" >&2
    exit 1
  }
  echo "setting up .venv (first time: a few minutes)" >&2
  .venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r "$lock" >&2
  .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e . >&2
  .venv/bin/python tools/models.py >&2
  .venv/bin/python tools/footage.py >&2
  echo "$want" > "$stamp"
}
