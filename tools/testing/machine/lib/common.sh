# What every command of the emulated host's tooling needs: where things are,
# and how to say what went wrong. To be sourced by bash.
# shellcheck shell=bash

# A failure of the machine or its set-up, as opposed to one of the command
# that runs inside: the status that timeout(1) and others use for it.
readonly STATUS_MACHINE=125

# Users have not always the directories of chroot and the like.
PATH=$PATH:/usr/sbin:/sbin

MACHINE_DIR=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
REPO_DIR=$(cd "$MACHINE_DIR/../../.." && pwd -P)
PROGRAM=${0##*/}

# say MESSAGE...: one line for the user.
say() {
	printf '%s: %s\n' "$PROGRAM" "$*" >&2
}

# die MESSAGE...: say it and end.
die() {
	say "$@"
	exit "$STATUS_MACHINE"
}

# find_cache: where results are kept, in $CACHE_DIR.
find_cache() {
	CACHE_DIR=${VFIO_AP_CACHE:-${XDG_CACHE_HOME:-${HOME:-}/.cache}/vfio-ap}
	[[ $CACHE_DIR == /* ]] ||
		die "the cache '$CACHE_DIR' needs an absolute path: set VFIO_AP_CACHE"
	mkdir -p -- "$CACHE_DIR" 2>/dev/null ||
		die "cannot make the cache $CACHE_DIR: set VFIO_AP_CACHE to a directory of yours"
	CACHE_DIR=$(cd -- "$CACHE_DIR" && pwd -P)
}

# in_tree PROGRAM-NAME FILE ARGUMENT...: run a program of the tools tree on
# the host, without chroot, through the tree's own loader and libraries.
tree_command() {
	local name=$1 file=$2
	shift 2
	TREE_COMMAND=("$TREE/usr/lib64/ld-linux-x86-64.so.2" --argv0 "$name"
		--library-path "$TREE/usr/lib/x86_64-linux-gnu:$TREE/usr/lib" "$file" "$@")
}
