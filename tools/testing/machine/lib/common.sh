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

# usage_error MESSAGE...: what is wrong with the arguments, and where it says what is
# right: the program's function usage.
usage_error() {
	say "$*; see '$PROGRAM --help'"
	exit "$STATUS_MACHINE"
}

# options_of_usage: prints the options that usage shows.
options_of_usage() {
	usage | sed -nE 's/^  (--?[a-z-]+).*/\1/p' | awk '!seen[$0]++' | paste -s -d ' '
}

# unknown_option OPTION: it is none of them.
unknown_option() {
	usage_error "unknown option '$1': the options are $(options_of_usage)"
}

# cache_path: prints where results are kept.
cache_path() {
	printf '%s' "${VFIO_AP_CACHE:-${XDG_CACHE_HOME:-${HOME:-}/.cache}/vfio-ap}"
}

# find_cache: sets CACHE_DIR to where results are kept; it need not be there.
find_cache() {
	CACHE_DIR=$(cache_path)
	[[ $CACHE_DIR == /* ]] ||
		die "the cache '$CACHE_DIR' needs an absolute path: set VFIO_AP_CACHE"
	CACHE_DIR=$(realpath -m -- "$CACHE_DIR")
}

# make_cache: makes the directory of the cache.
make_cache() {
	mkdir -p -- "$CACHE_DIR"/{results,tmp,work,logs} 2>/dev/null ||
		die "cannot make the cache $CACHE_DIR: make room, or set VFIO_AP_CACHE to a directory of yours"
}

# tree_command NAME FILE ARGUMENT...: sets TREE_COMMAND to what runs a program of the
# tools tree on this machine, without chroot, by the tree's own loader and libraries.
tree_command() {
	local name=$1 file=$2
	shift 2
	TREE_COMMAND=("$(tree_loader)" --argv0 "$name"
		--library-path "$(tree_libraries):$TREE/usr/lib" "$file" "$@")
}

# tree_libraries: the directory of the tree's libraries. The cross compiler's are in
# another one like it.
tree_libraries() {
	dirname "$TREE"/usr/lib/*-linux-gnu/libc.so.6
}

# tree_loader: the tree's program that loads others, whatever its architecture.
tree_loader() {
	local file
	for file in "$TREE"/usr/lib{64,}/ld-linux-*.so.[0-9]; do
		[[ ! -e $file ]] || break
	done
	printf '%s' "$file"
}
