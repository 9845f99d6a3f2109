# Boots a machine whose init is rootfs/init.c, and ends with what its command
# ended with: what 'run' does on this machine, and 'linux-guest' in the emulated
# host. To be sourced by bash, after common.sh.
#
# The caller sets: command and environment (arrays), tty, stdin and verbose (0 or
# 1), timeout and watchdog (seconds), share (a path, or empty), console (the file
# of the kernel's log) and RELAY (the program); and, if the host is slow to come
# up, boot_timeout (seconds; 0: however long it takes). If the machine can be migrated,
# may_leave is 1, and has_left a function that says where it is, or fails.
# shellcheck shell=bash disable=SC2154

# make_run_dir: a directory of this run's, in $run_dir. Those of runs that were
# killed before they could clean up go at the same time.
make_run_dir() {
	local base=${TMPDIR:-/tmp} old lock
	for old in "$base"/vfio-ap-run.*; do
		[[ -O $old && -f $old/lock ]] || continue
		# It may be gone by now.
		{ exec {lock}<"$old/lock"; } 2>/dev/null || continue
		if flock -n -x "$lock"; then
			rm -rf -- "$old"
		fi
		exec {lock}<&-
	done
	# Locked before it has the name by which others find it.
	run_dir=$(mktemp -d "$base/.vfio-ap-run.XXXXXX") ||
		die "cannot make a directory in $base: set TMPDIR to one with room"
	trap clean_up EXIT
	: >"$run_dir/lock"
	exec {run_lock}<"$run_dir/lock"
	# The emulator inherits the lock, so that it holds as long as anyone lives.
	flock -n -x "$run_lock"
	old=$base/vfio-ap-run.${run_dir##*.}
	mv -T "$run_dir" "$old"
	run_dir=$old
	mkdir "$run_dir/machine"
}

clean_up() {
	local status=$?
	[[ -z ${tail_pid:-} ]] || kill "$tail_pid" 2>/dev/null || true
	[[ -z ${run_dir:-} ]] || rm -rf -- "$run_dir"
	exit "$status"
}

# The emulator's option syntax: a comma in a value is doubled.
quoted() {
	printf '%s' "${1//,/,,}"
}

# write_wishes: what the machine's init is to do, in $run_dir/machine.
write_wishes() {
	local machine=$run_dir/machine
	environment=(
		PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
		HOME=/root USER=root LOGNAME=root SHELL=/bin/bash LANG=C.UTF-8
		"TERM=${TERM:-dumb}" "${environment[@]}")
	printf '%s\0' "${environment[@]}" >"$machine/env"
	: >"$machine/argv"
	((!${#command[@]})) || printf '%s\0' "${command[@]}" >"$machine/argv"
	if ((tty)); then
		stty size >"$machine/terminal" 2>/dev/null || echo 24 80 >"$machine/terminal"
	fi
	[[ -z $share ]] || : >"$machine/share"
}

# explain: why the machine failed, as far as the logs tell.
explain() {
	local panic
	if [[ -s $run_dir/emulator.log ]]; then
		grep -v 'terminating on signal' "$run_dir/emulator.log" | tail -n 5 |
			sed 's/^/  emulator: /' >&2 || true
	fi
	[[ -s $console ]] || return 0
	panic=$(grep -a -m 1 -E 'Kernel panic|Unable to handle|Oops' "$console" || true)
	[[ -z $panic ]] || say "the kernel said: $panic"
	((verbose)) && return
	say "the last lines of the kernel's log:"
	tail -n 60 "$console" | tr -d '\r' | sed 's/^/  | /' >&2
}

# boot EMULATOR ARGUMENT...: returns the command's exit status.
boot() {
	local relay_options=(--name "$PROGRAM" --timeout "$timeout" --watchdog "$watchdog"
		--emulator-log "$run_dir/emulator.log" --failure "$run_dir/failure")
	local relay status=0 signal
	[[ -z ${boot_timeout:-} ]] || relay_options+=(--boot-timeout "$boot_timeout")
	((!tty)) || relay_options+=(--terminal)
	((stdin)) || relay_options+=(--no-input)
	((!${may_leave:-0})) || relay_options+=(--may-leave)
	if ((verbose)); then
		: >"$console"
		tail -n +1 -f "$console" >&2 &
		tail_pid=$!
	fi
	# In the background, so that a signal reaches us at once; with our input.
	cd "$run_dir" || die "$run_dir is gone"
	"$RELAY" "${relay_options[@]}" -- "$@" <&0 &
	relay=$!
	for signal in INT TERM HUP QUIT; do
		# shellcheck disable=SC2064
		trap "kill -$signal $relay 2>/dev/null || true" "$signal"
	done
	while :; do
		status=0
		wait "$relay" || status=$?
		kill -0 "$relay" 2>/dev/null || break
	done
	trap - INT TERM HUP QUIT
	if [[ -e $run_dir/failure && $status == "$STATUS_MACHINE" ]]; then
		if [[ $(<"$run_dir/failure") == left ]]; then
			! has_left || return 0
			say "the machine went down before the command had ended"
		fi
		explain
	fi
	return "$status"
}

