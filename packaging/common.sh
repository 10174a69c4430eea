# What ./quickstart and ./test share. Sourced, not run; POSIX sh, `set -eu` in force.

# A step that fails says its own name: `step` sets it, `die` and the EXIT trap print it.
STEP="starting"
step() { STEP=$1; printf '\n==> %s\n' "$1"; }
say() { printf '    %s\n' "$*"; }
die() {
    trap - EXIT
    printf '\nFAILED at step "%s": %s\n' "$STEP" "$1" >&2
    shift
    for hint in "$@"; do printf '    %s\n' "$hint" >&2; done
    exit 1
}
on_exit() {
    status=$?
    [ "$status" -eq 0 ] || printf '\nFAILED at step "%s" (exit status %s); what it printed is above.\n' "$STEP" "$status" >&2
}
trap on_exit EXIT

have() { command -v "$1" >/dev/null 2>&1; }

# install_packages PACKAGE...: those that dpkg does not have; the package lists are
# fetched only where a first try finds them missing or out of date.
install_packages() {
    missing=""
    for package in "$@"; do
        dpkg-query -W -f='${db:Status-Abbrev}' "$package" 2>/dev/null | grep -q '^.i' || missing="$missing $package"
    done
    if [ -z "$missing" ]; then
        say "all there already: $*"
        return 0
    fi
    [ "$(id -u)" -eq 0 ] || die "not root, and these packages are missing:$missing" "run: sudo apt-get install$missing"
    have apt-get || die "no apt-get here; Pierhead is packaged for Debian 12 and 13" "install by hand:$missing"
    say "installing:$missing"
    log=$(mktemp)
    # Recommends would bring in an AppArmor parser, a firewall front end and more.
    # shellcheck disable=SC2086  # the list is meant to be split
    set -- env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $missing
    if ! "$@" >"$log" 2>&1; then
        say "refreshing the package lists"
        apt-get update -q >"$log.update" 2>&1 || { cat "$log.update" >&2; die "apt-get update failed" "is the network, or the mirror in /etc/apt/sources.list, reachable?"; }
        "$@" >"$log" 2>&1 || { tail -n 20 "$log" >&2; die "apt-get could not install$missing"; }
    fi
    rm -f "$log" "$log.update"
}

# find_python: sets PYTHON to the first Python >= 3.11 that has what we need, the
# distribution's before others (its start-up is the quickest and apt keeps it safe).
find_python() {
    PYTHON=""
    for candidate in /usr/bin/python3 /usr/bin/python3.14 /usr/bin/python3.13 /usr/bin/python3.12 /usr/bin/python3.11 \
        /usr/local/bin/python3 python3 python3.14 python3.13 python3.12 python3.11; do
        have "$candidate" || continue
        # sys.executable: past any shim that only picks a version
        path=$("$candidate" -c 'import sys; assert sys.version_info >= (3, 11); import sqlite3, ssl; print(sys.executable)' 2>/dev/null) || continue
        PYTHON=$path
        return 0
    done
    return 1
}

# python_packages: prints what apt must install for a Python with venv and pip in it.
python_packages() {
    if ! find_python; then
        echo python3 python3-venv
    elif ! "$PYTHON" -c 'import ensurepip, venv' 2>/dev/null; then
        echo python3-venv
    fi
}

# need_python: sets PYTHON, or says what is wrong.
need_python() {
    find_python || die "no Python >= 3.11 found" "Debian 12 and 13 bring one as python3"
    "$PYTHON" -c 'import ensurepip, venv' 2>/dev/null || die "$PYTHON has no ensurepip" "install the package python3-venv that belongs to it"
    say "using $PYTHON ($("$PYTHON" -V))"
}

# make_venv DIR: one made by another Python version is made anew.
make_venv() {
    if [ -x "$1/bin/python" ] && "$1/bin/python" -m pip --version >/dev/null 2>&1 &&
        [ "$("$1/bin/python" -c 'import sys; print(sys.version_info[:2])')" = "$("$PYTHON" -c 'import sys; print(sys.version_info[:2])')" ]; then
        return 0
    fi
    "$PYTHON" -m venv --clear "$1" || die "could not make a virtual environment in $1"
}

# pip_install DIR ARG...
pip_install() {
    venv=$1
    shift
    log=$(mktemp)
    "$venv/bin/python" -m pip install --disable-pip-version-check --quiet "$@" >"$log" 2>&1 || {
        tail -n 20 "$log" >&2
        die "pip could not install: $*" "is PyPI, or your mirror of it, reachable? behind a proxy set HTTPS_PROXY"
    }
    rm -f "$log"
}
