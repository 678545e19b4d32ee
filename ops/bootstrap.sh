#!/usr/bin/env bash
# Gets what Berth needs: system packages (as root, with apt) and .venv with the locked dependencies.
#   ops/bootstrap.sh run    for `make run`
#   ops/bootstrap.sh dev    for `make check` and `make test` as well
# What is there already is left as it is: a second run takes no time. No system service is started,
# and no engine that exists is touched.
set -euo pipefail
cd "$(dirname "$0")/.."
KIND="${1:-run}"
VENV="${VENV:-.venv}"
LOCK=requirements.txt
[ "$KIND" = dev ] && LOCK=requirements-dev.txt

say() { printf 'berth: %s\n' "$*"; }
have() { command -v "$1" >/dev/null 2>&1; }

# Debian keeps dockerd, ip and iptables where only root looks.
PATH="$PATH:/usr/sbin:/sbin"

find_python() {
  local candidate
  for candidate in "${PYTHON:-python3}" python3 python3.13 python3.12 python3.11; do
    have "$candidate" &&
      "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' && { echo "$candidate"; return; }
  done
  return 1
}

PYTHON="$(find_python || true)"

engine_answers() {
  [ -n "${DOCKER_HOST:-}" ] || { [ -S /var/run/docker.sock ] && [ -w /var/run/docker.sock ]; }
}

# Prints the Debian packages that are missing, and why, as lines `package reason`.
missing_packages() {
  [ -n "$PYTHON" ] || echo "python3 Python_3.11_or_newer"
  [ -x "$VENV/bin/python" ] || { [ -n "$PYTHON" ] && "$PYTHON" -c 'import ensurepip, venv'; } 2>/dev/null ||
    echo "python3-venv virtual_environments"
  { have dockerd || { [ "$KIND" = run ] && engine_answers; }; } || echo "docker.io a_container_engine"
  have iptables || { [ "$KIND" = run ] && engine_answers; } || echo "iptables the_engine's_networks"
  have redis-server || { [ "$KIND" = run ] && [ -n "${REDIS_URL:-}" ]; } || echo "redis-server queues_and_live_updates"
  busybox_is_static || echo "busybox-static the_demo_image"
  have msgfmt || echo "gettext translations"
  [ "$KIND" = dev ] || return 0
  have ip || echo "iproute2 the_lab's_networks"
  have nsenter || echo "util-linux the_lab's_networks"
  have sysctl || echo "procps the_lab's_networks"
  compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || echo "postgresql tests_on_PostgreSQL"
  have chromium || have chromium-browser || echo "chromium tests_in_a_browser"
  [ -d /usr/share/fonts/opentype/noto ] || echo "fonts-noto-cjk Chinese_text_in_screenshots"
}

busybox_is_static() {
  local program
  program="$(command -v busybox)" && ! head -c 4096 "$program" | grep -q ld-linux
}

# Runs a command while a policy keeps packages from starting services; an existing policy stays.
without_services() {
  local policy=/usr/sbin/policy-rc.d made=""
  [ -e "$policy" ] || { printf '#!/bin/sh\nexit 101\n' >"$policy"; chmod 755 "$policy"; made=1; }
  local status=0
  "$@" || status=$?
  [ -z "$made" ] || rm -f "$policy"
  return "$status"
}

install_packages() {
  local log; log="$(mktemp)"
  say "installing: $*"
  export DEBIAN_FRONTEND=noninteractive
  if ! { apt-get update -q && without_services apt-get install -y -q --no-install-recommends "$@"; } >"$log" 2>&1; then
    tail -n 15 "$log"
    say "apt-get could not install: $*"
    exit 1
  fi
  rm -f "$log"
  # Nor at the next boot: `make run` starts its own, with its own data.
  if [ -d /run/systemd/system ]; then
    local package
    for package in "$@"; do
      case "$package" in
        docker.io) systemctl disable -q docker.service docker.socket || true ;;
        redis-server) systemctl disable -q redis-server.service || true ;;
        postgresql) systemctl disable -q postgresql.service || true ;;
      esac
    done
  fi
}

system_packages() {
  local lines; lines="$(missing_packages)"
  [ -n "$lines" ] || return 0
  local packages; packages="$(cut -d' ' -f1 <<<"$lines" | tr '\n' ' ')"
  if [ "$(id -u)" -ne 0 ] || ! have apt-get; then
    say "this machine lacks:"
    while read -r package reason; do printf '  %-16s for %s\n' "$package" "${reason//_/ }"; done <<<"$lines"
    if have apt-get; then say "get them with:  sudo apt-get install --no-install-recommends $packages"
    else say "install these (named here as Debian names them) with your system's package manager: $packages"; fi
    grep -qE '^(python3|python3-venv) ' <<<"$lines" && exit 1
    # What the rest is needed for is said again by whatever needs it.
    return 0
  fi
  # shellcheck disable=SC2086  # one word per package
  install_packages $packages
}

python_packages() {
  local stamp; stamp="$(sha256sum <"$LOCK" | cut -c1-32)"
  [ -x "$VENV/bin/python" ] && [ "$(cat "$VENV/.berth-$KIND" 2>/dev/null)" = "$stamp" ] && return 0
  # Installed just now, it was not there when this script began.
  PYTHON="${PYTHON:-$(find_python)}"
  [ -x "$VENV/bin/python" ] || "$PYTHON" -m venv "$VENV"
  say "installing the locked Python packages ($LOCK)"
  "$VENV/bin/python" -m pip install -qq --disable-pip-version-check --require-hashes -r "$LOCK"
  echo "$stamp" >"$VENV/.berth-$KIND"
}

system_packages
python_packages
