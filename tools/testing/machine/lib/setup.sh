# The set-up: makes what the emulated host consists of, step by step, and keeps
# it in the cache. To be sourced by bash, after common.sh.
#
# A step is a file lib/steps/NAME.sh with these functions and variables:
#   NAME_about	what is made, for the user; '%s' stands for the series of Linux
#   NAME_takes	how long that usually takes on 2 cores
#   NAME_needs	the steps whose results it is made from
#   NAME_inputs	prints what else it is made from: files, and NAME=VALUE
#   NAME_make	makes it, in the directory $OUT
#
# Steps that a kernel is in come in flavours. NAME@FLAVOUR is the step NAME for
# another series of Linux, another configuration of the kernel (see
# lib/steps/kernel.sh), or both: kernel@7.2, kernel@debug, kernel@7.2+debug. A step
# finds them in $LINUX, the series, and $CONFIGURATION, which is empty for the
# usual one. A step that it needs is needed in the same flavour.
#
# A result is $CACHE_DIR/results/NAME-KEY, KEY being made from all that it is
# made from, the step's own file included. It is made elsewhere in the cache
# and moved there when it is complete, so that whatever has that name is whole.
# shellcheck shell=bash

. "$MACHINE_DIR/lib/mirror.sh"
. "$MACHINE_DIR/versions"

# Everything that is fetched comes first: a file that cannot be had ends the set-up
# before anything is built.
readonly FETCHING_STEPS=(userspace tree linuxsource qemusource crates sysroot toolsuserspace sphinx)
readonly ALL_STEPS=(userspace tree linuxsource qemusource crates linux kernel emulator rootfs
	relay module selftests testmodules aptest sietest uvtest kvmtests)
# Made only for those who ask for them.
readonly MORE_STEPS=(stock bench sysroot migratable toolsuserspace toolsrootfs sphinx)
# Steps that are different for another series of Linux, and those of them that are
# different for another configuration as well.
readonly SERIES_STEPS=(linuxsource linux kernel module selftests testmodules kvmtests aptest sietest
	uvtest bench)
readonly CONFIGURATION_STEPS=(kernel module testmodules aptest sietest uvtest bench)

# The kernel that is meant unless a step's name says otherwise.
LINUX=${VFIO_AP_LINUX:-${LINUX_SERIES[0]}}
[[ " ${LINUX_SERIES[*]} " == *" $LINUX "* ]] ||
	die "VFIO_AP_LINUX '$LINUX': the series of Linux are ${LINUX_SERIES[*]}"
CONFIGURATION=

# So many results of each step are kept, the most recently used ones.
readonly KEPT_RESULTS=${VFIO_AP_KEPT_RESULTS:-2}
[[ $KEPT_RESULTS =~ ^[1-9][0-9]{0,2}$ ]] ||
	die "VFIO_AP_KEPT_RESULTS '$KEPT_RESULTS': expected a number from 1 to 999"

# Room that a set-up from nothing takes, in MiB.
readonly SETUP_ROOM=9000

for step in "${ALL_STEPS[@]}" "${MORE_STEPS[@]}"; do
	# shellcheck source=/dev/null
	. "$MACHINE_DIR/lib/steps/$step.sh"
done

declare -A STEP_KEY=()

# split_flavour NAME: sets LINUX and CONFIGURATION to those of the step NAME.
split_flavour() {
	local flavour=
	[[ $1 != *@* ]] || flavour=${1#*@}
	LINUX=${LINUX_SERIES[0]}
	if [[ ${flavour%%+*} =~ ^[0-9]+\.[0-9]+$ ]]; then
		LINUX=${flavour%%+*}
		flavour=${flavour#"$LINUX"}
		flavour=${flavour#+}
	fi
	CONFIGURATION=$flavour
}

# step_at STEP: prints the name of the step for $LINUX and $CONFIGURATION.
step_at() {
	local flavour=
	if [[ " ${SERIES_STEPS[*]} " == *" $1 "* && $LINUX != "${LINUX_SERIES[0]}" ]]; then
		flavour=$LINUX
	fi
	if [[ " ${CONFIGURATION_STEPS[*]} " == *" $1 "* && -n $CONFIGURATION ]]; then
		flavour+=${flavour:++}$CONFIGURATION
	fi
	printf '%s%s' "$1" "${flavour:+@$flavour}"
}

# known_step NAME: there is such a step, in such a flavour.
known_step() {
	local LINUX CONFIGURATION part
	[[ " ${ALL_STEPS[*]} ${MORE_STEPS[*]} " == *" ${1%%@*} "* ]] || return
	split_flavour "$1"
	known_series "$LINUX" || return
	for part in ${CONFIGURATION//+/ }; do
		[[ $part =~ ^[a-z0-9]+$ && -f $MACHINE_DIR/kernel/$part.config ]] || return
	done
	[[ $(step_at "${1%%@*}") == "$1" ]]
}

# known_series SERIES: it is one that the driver is made for.
known_series() {
	[[ -n $1 && " ${LINUX_SERIES[*]} " == *" $1 "* ]]
}

# step_needs NAME: sets NEEDS to what the step needs.
step_needs() {
	local need LINUX CONFIGURATION
	local -n all=${1%%@*}_needs
	split_flavour "$1"
	NEEDS=()
	for need in "${all[@]}"; do
		NEEDS+=("$(step_at "$need")")
	done
}

# call_step NAME FUNCTION: the step's own inputs or make, in its flavour.
call_step() {
	local LINUX CONFIGURATION
	split_flavour "$1"
	"${1%%@*}_$2"
}

# step_key NAME: sets STEP_KEY[NAME], and those that it depends on.
step_key() {
	local name=$1 need inputs NEEDS
	[[ -z ${STEP_KEY[$name]:-} ]] || return 0
	inputs=$(
		cd "$REPO_DIR"
		sha256sum "tools/testing/machine/lib/steps/${name%%@*}.sh"
		call_step "$name" inputs | while read -r input; do
			case $input in
			*=*) printf '%s\n' "$input" ;;
			*) [[ -e $input ]] || exit 1; find "$input" -type f ! -name '.*' -print0 | LC_ALL=C sort -z |
				xargs -0 -r sha256sum ;;
			esac
		done
	) || die "a file that the step '$name' is made from is missing"
	step_needs "$name"
	for need in "${NEEDS[@]}"; do
		step_key "$need"
		inputs+=" ${STEP_KEY[$need]}"
	done
	inputs=$(sha256sum <<<"$inputs")
	STEP_KEY[$name]=${inputs:0:16}
}

# result NAME: prints where the step's result is, or will be.
result() {
	printf '%s/results/%s-%s' "$CACHE_DIR" "$1" "${STEP_KEY[$1]}"
}

# result_at STEP: prints where the result is for $LINUX and $CONFIGURATION.
result_at() {
	result "$(step_at "$1")"
}

# in_namespace COMMAND...: as root, or like root, with mounts of its own.
in_namespace() {
	local as=()
	[[ $EUID == 0 ]] || as=(--map-root-user --map-auto)
	setpriv --pdeathsig KILL unshare "${as[@]}" --mount --pid --fork --kill-child "$@"
}

# in_tree [FROM:TO[:ro]]... -- COMMAND...: in the tools tree.
in_tree() {
	in_namespace "$MACHINE_DIR/lib/enter" "$(result tree)" "$@"
}

# test_module_make NAME MODULE: a step's result is tests/NAME's MODULE.ko, and the
# script 'inside' that loads it.
test_module_make() {
	mkdir "$OUT/source" "$OUT/build"
	cp "$MACHINE_DIR/tests/$1"/{Kbuild,*.[ch]} "$OUT/source/"
	kernel_module_make "$OUT/source:/module:ro" "$OUT/build:/build" -- modules
	mv "$OUT/build/$2.ko" "$OUT/"
	cp "$MACHINE_DIR/tests/$1/inside" "$OUT/"
	remove "$OUT/build" "$OUT/source"
}

# remove PATH...: also what belongs to users of a name space.
remove() {
	rm -rf -- "$@" 2>/dev/null || in_namespace rm -rf -- "$@"
}

# check_host: what cannot be installed by us must be there.
check_host() {
	local tool missing=()
	for tool in unshare setpriv flock sha256sum; do
		command -v "$tool" >/dev/null || missing+=("$tool")
	done
	((!${#missing[@]})) ||
		die "missing here: ${missing[*]}; install Debian's packages util-linux and coreutils"
	for tool in mmdebstrap mount; do
		command -v "$tool" >/dev/null || missing+=("$tool")
	done
	if ((${#missing[@]})); then
		[[ $EUID == 0 ]] ||
			die "missing here: ${missing[*]}; ask the administrator for 'apt-get install mmdebstrap mount uidmap'"
		command -v apt-get >/dev/null ||
			die "missing here: ${missing[*]}; this is not Debian: install them"
		say "installing ${missing[*]}"
		{ apt-get update && apt-get install -y --no-install-recommends "${missing[@]}"; } \
			>"$CACHE_DIR/logs/host.log" 2>&1 </dev/null ||
			explain_failure "installing ${missing[*]}" "$CACHE_DIR/logs/host.log"
	fi
	if [[ $EUID != 0 ]]; then
		command -v newuidmap >/dev/null ||
			die "newuidmap is missing: ask the administrator for 'apt-get install uidmap'"
		grep -qs "^$(id -un):" /etc/subuid && grep -qs "^$(id -un):" /etc/subgid ||
			die "no subordinate user ids: ask the administrator for 'usermod --add-subuids 100000-165535 --add-subgids 100000-165535 $(id -un)'"
	fi
	in_namespace true 2>"$CACHE_DIR/logs/namespace.log" ||
		die "no name spaces ($(tail -n 1 "$CACHE_DIR/logs/namespace.log")): run as root, or have the administrator allow user name spaces"
}

# explain_failure WHAT LOG: one sentence that says what to do, and ends.
explain_failure() {
	local what=$1 log=$2
	if [[ -s ${WHY:-} ]]; then
		die "$what: $(<"$WHY")"
	elif disk_is_full "$log"; then
		die "$what failed: $(disk_full_text)"
	elif no_answer "$log" >/dev/null; then
		die "$what failed: no network, or the server $(no_answer "$log"); try again later (log: $log)"
	fi
	say "$what failed; the end of its log:"
	tail -n 15 "$log" | sed 's/^/  | /' >&2
	die "the whole log is $log; mend the cause and start again, what is done stays done"
}

# Shows how long a step has taken so far, on a terminal.
ticker() {
	local start=$SECONDS
	while sleep 1; do
		printf '\r%s %d s ' "$1" $((SECONDS - start)) >&2
	done
}

# fresh_key NAME: the key of what is there now.
fresh_key() {
	unset "STEP_KEY[$1]"
	step_key "$1"
}

# make_step NAME TITLE [together]: makes one step's result. If others are made at the
# same time, what it says is whole lines.
make_step() {
	fresh_key "$1"
	local key=${STEP_KEY[$1]}
	local name=$1 title=$2 together=${3:-} start=$EPOCHREALTIME log=$CACHE_DIR/logs/$1.log status=0
	local -n about=${name%%@*}_about takes=${name%%@*}_takes
	local elapsed again='' what LINUX CONFIGURATION
	OUT=$CACHE_DIR/tmp/$name
	NOTES=$OUT.notes WHY=$OUT.why
	remove "$OUT"
	rm -f "$NOTES" "$WHY"
	mkdir -p "$OUT" || die "cannot write to $CACHE_DIR: make room there"
	split_flavour "$name"
	what=${about//%s/$LINUX}${CONFIGURATION:+ ($CONFIGURATION)}
	title+=" $what"
	if [[ -n $together ]]; then
		printf '%s, about %s: begun\n' "$title" "$takes" >&2
		again=$title:
	elif title+=", about $takes ..." && [[ -t 2 ]]; then
		ticker "$title" &
		TICKER=$!
		again=$'\r'$title
	else
		printf '%s' "$title" >&2
	fi
	# In the background and with wait, so that a signal interrupts it at once.
	(
		set -euo pipefail
		trap - EXIT INT TERM HUP
		call_step "$name" make
	) >"$log" 2>&1 </dev/null &
	wait $! || status=$?
	stop_ticker
	elapsed=$(((${EPOCHREALTIME/[.,]/} - ${start/[.,]/}) / 100000))
	elapsed=$((elapsed / 10)).$((elapsed % 10))
	if ((status)); then
		printf '%s failed after %s s\n' "$again" "$elapsed" >&2
		explain_failure "$what" "$log"
	fi
	printf '%s %s s   \n' "$again" "$elapsed" >&2
	[[ ! -s $NOTES ]] || sed 's/^/  /' "$NOTES" >&2
	fresh_key "$name"
	if [[ $key != "${STEP_KEY[$name]}" ]]; then
		say "what that is made from has changed meanwhile: once more"
		make_step "$name" "$2" "$together"
		return
	fi
	: >"$OUT/.used"
	remove "$(result "$name")"
	mv -T "$OUT" "$(result "$name")"
}

stop_ticker() {
	[[ -n ${TICKER:-} ]] || return 0
	kill "$TICKER" 2>/dev/null || true
	wait "$TICKER" 2>/dev/null || true
	TICKER=
}

# kill_descendants SIGNAL PID: what that process started, and what that started.
kill_descendants() {
	local child
	for child in $(grep -lsx "PPid:[[:space:]]$2" /proc/[0-9]*/status | tr -dc '0-9\n'); do
		kill_descendants "$1" "$child"
		kill "-$1" "$child" 2>/dev/null || true
	done
}

interrupted() {
	trap - INT TERM HUP
	kill_descendants KILL $$
	printf '\n' >&2
	say "interrupted; what is done stays done, start again to go on"
	exit $((128 + $1))
}

# missing_steps NAME...: prints those of the steps, and what they need, that
# have no result, in the order in which they are to be made.
missing_steps() {
	local name NEEDS
	for name in "$@"; do
		[[ -z ${seen[$name]:-} ]] || continue
		seen[$name]=1
		step_key "$name"
		[[ ! -d $(result "$name") ]] || continue
		step_needs "$name"
		missing_steps "${NEEDS[@]}"
		missing+=("$name")
	done
}

# make_together NAME...: makes these steps, two at a time: a kernel's build waits long
# for a single compiler, and the other processor has nothing to do.
make_together() {
	local waiting=("$@") name need pid status NEEDS
	local -A names=() unmade=()
	for name in "$@"; do
		unmade[$name]=1
	done
	while ((${#waiting[@]} || ${#names[@]})); do
		for name in "${waiting[@]}"; do
			((${#names[@]} < 2)) || break
			step_needs "$name"
			for need in "${NEEDS[@]}"; do
				[[ -z ${unmade[$need]:-} ]] || continue 2
			done
			(
				trap - EXIT INT TERM HUP
				make_step "$name" "[$((number + 1))/${#missing[@]}]" together
			) &
			names[$!]=$name number=$((number + 1))
			without "$name"
		done
		status=0
		wait -n -p pid "${!names[@]}" || status=$?
		if ((status)); then
			kill_descendants KILL $$
			exit "$status"
		fi
		name=${names[$pid]}
		unset "names[$pid]" "unmade[$name]"
		# It may have changed meanwhile.
		fresh_key "$name"
	done
}

# without NAME: takes the step out of those that are waiting.
without() {
	local name others=()
	for name in "${waiting[@]}"; do
		[[ $name == "$1" ]] || others+=("$name")
	done
	waiting=("${others[@]}")
}

# make_missing: makes the missing steps: first those that fetch something, one by one.
make_missing() {
	local name number=0 others=()
	fetching_first
	for name in "${missing[@]}"; do
		if [[ " ${FETCHING_STEPS[*]} " == *" ${name%%@*} "* ]]; then
			make_step "$name" "[$((++number))/${#missing[@]}]"
		else
			others+=("$name")
		fi
	done
	if ((${#others[@]} > 1 && $(nproc) > 1 && $(memory) >= 3000)); then
		make_together "${others[@]}"
		return
	fi
	for name in "${others[@]}"; do
		make_step "$name" "[$((++number))/${#missing[@]}]"
	done
}

# memory: what this machine has, in MiB.
memory() {
	awk '/^MemTotal:/ { print int($2 / 1024) }' /proc/meminfo
}

# fetching_first: puts those of the missing steps first that fetch something. They
# need none of the others.
fetching_first() {
	local name fetching=() others=()
	for name in "${missing[@]}"; do
		if [[ " ${FETCHING_STEPS[*]} " == *" ${name%%@*} "* ]]; then
			fetching+=("$name")
		else
			others+=("$name")
		fi
	done
	missing=("${fetching[@]}" "${others[@]}")
}

# use NAME...: marks results as used, and holds them against being removed.
use() {
	local name fd
	for name in "$@"; do
		exec {fd}<"$(result "$name")/.used" || return 1
		flock -n -s "$fd" || return 1
		touch -c "$(result "$name")/.used" 2>/dev/null || true
	done
}

# prune: removes results that are neither in use nor among the last ones used.
prune() {
	local name old fd steps
	# Those that are there, in whatever flavour.
	mapfile -t steps < <(ls "$CACHE_DIR/results" | sed 's/-[0-9a-f]*$//' | sort -u)
	for name in "${steps[@]}"; do
		# shellcheck disable=SC2012
		ls -td "$CACHE_DIR/results/$name"-*/.used 2>/dev/null | tail -n +$((KEPT_RESULTS + 1)) |
			while read -r old; do
				exec {fd}<"$old"
				if flock -n -x "$fd"; then
					# Out of sight first: a removal can be interrupted.
					mv -T "${old%/.used}" "$CACHE_DIR/tmp/old-$name.$RANDOM"
				fi
				exec {fd}<&-
			done || true
	done
	remove "$CACHE_DIR/tmp"/old-*
}

# setup NAME...: makes what is missing of these steps, and of those that they
# need. Afterwards the results are there, and are held for this process.
setup() {
	local -A seen=()
	local missing=() lock start=$SECONDS
	find_cache
	missing_steps "$@"
	if ((!${#missing[@]})) && use "$@"; then
		return
	fi
	make_cache
	exec {lock}>"$CACHE_DIR/lock"
	if ! flock -n -x "$lock"; then
		say "waiting for another set-up that uses $CACHE_DIR"
		flock -x "$lock"
	fi
	seen=() missing=()
	missing_steps "$@"
	if ((${#missing[@]})); then
		trap 'interrupted 2' INT
		trap 'interrupted 15' TERM
		trap 'interrupted 1' HUP
		check_host
		remove "$CACHE_DIR/tmp"
		mkdir -p "$CACHE_DIR/tmp"
		if [[ " ${missing[*]} " == *' tree '* ]] && (($(room_left) < SETUP_ROOM)); then
			die "$(room_left) MB are free at $CACHE_DIR, but the set-up takes $SETUP_ROOM: make room, or set VFIO_AP_CACHE"
		fi
		make_missing
		prune
		trap - INT TERM HUP
		((${#missing[@]} < 2)) || say "set-up done in $((SECONDS - start)) s"
	fi
	use "$@" || die "a result was removed meanwhile: start again"
	exec {lock}>&-
}
