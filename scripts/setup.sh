# Sourced by the other scripts: makes .venv in the repository, with the package in it, unless it is there and current.
#
#   set_up run    the package
#   set_up dev    the package and what checks and tests need
#
# Current means: the last install came to its end, for this pyproject.toml and in this directory. A second caller
# waits for the first. Everything is said on stderr; nothing of pip's configuration is touched.

root="$(CDPATH= cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)"
venv="$root/.venv"

say() { printf '%s\n' "$*" >&2; }

fail() { # sentence, hint
    printf 'error: %s\n\nhint: %s\n' "$1" "$2" >&2
    exit 3
}

wanted() { # what the stamp of a finished install holds
    printf '%s\n' "$root"
    cat -- "$root/pyproject.toml"
}

is_current() { # run or dev; dev has all that run has
    local stamp
    for stamp in "$venv/.installed-dev" "$venv/.installed-$1"; do
        if [[ -f "$stamp" && "$(<"$stamp")" == "$(wanted)" && -x "$venv/bin/smallrtc" && -x "$venv/bin/python" ]]; then
            return 0
        fi
    done
    return 1
}

works() { # a Python that is new enough, and whole: Debian's comes without ensurepip
    "$1" -I -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

find_python() {
    local candidate
    for candidate in python3 python3.13 python3.12 python3.11 python3.14; do
        if works "$candidate"; then
            printf '%s\n' "$candidate"
            return
        fi
    done
    fail 'no Python 3.11 or newer with `venv` was found' \
        'install one from python.org, or with `apt-get install python3 python3-venv`'
}

belongs_elsewhere() { # made in another directory: its scripts name the old path
    local stamp
    for stamp in "$venv"/.installed-*; do
        [[ -f "$stamp" && "$(head -n 1 -- "$stamp")" != "$root" ]] && return 0
    done
    return 1
}

make_venv() {
    local python
    python="$(find_python)"
    if belongs_elsewhere || { [[ -e "$venv/bin/python" || -L "$venv/bin/python" ]] && ! works "$venv/bin/python"; }; then
        "$python" -m venv --clear "$venv" >&2
    elif [[ ! -x "$venv/bin/python" ]] || ! "$venv/bin/python" -I -c 'import pip' 2>/dev/null; then
        "$python" -m venv "$venv" >&2
    fi
}

install() { # run or dev
    local target="$root" said
    [[ "$1" == dev ]] && target="$root[dev]"
    say "setting up $venv (once; half a minute, or two for the tests) ..."
    make_venv
    rm -f -- "$venv"/.installed-*
    if ! said="$("$venv/bin/python" -m pip install -q --disable-pip-version-check --editable "$target" 2>&1)"; then
        say "$said"
        fail 'the installation failed' 'pip says above why'
    fi
    wanted >"$venv/.installed-$1.new"
    mv -f -- "$venv/.installed-$1.new" "$venv/.installed-$1"
}

set_up() { # run or dev
    is_current "$1" && return
    (
        if command -v flock >/dev/null; then
            flock 9 || say 'this file system has no locks: do not start two set-ups at once'
        fi
        is_current "$1" || install "$1"
    ) 9<"$root/scripts/setup.sh"
}
