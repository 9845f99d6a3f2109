# The jobs of 'check': declared by the parts, and run side by side. To be sourced by
# bash, by check.
#
# A unit is what gets a line of its own in the summary: PART/PROGRAM, and, if there are
# several of it, in brackets which. A job is a process that reports one or more of them.
# shellcheck shell=bash disable=SC2034

UNITS=()
JOBS=()
JOB_UNITS=()
JOB_WEIGHT=()
JOB_SECONDS=()
LAST_JOBS=()

# wanted UNIT: it was asked for.
wanted() {
	local name=${1%% \[*} pattern
	for pattern in "${SELECTED[@]}"; do
		[[ $name != "$pattern" && $name != "$pattern"[/\ ]* ]] || return 0
	done
	return 1
}

# job WEIGHT SECONDS UNIT... -- COMMAND...: something to be run, if one of its units is
# wanted. WEIGHT is how many tenths of a processor it keeps busy; SECONDS, about how
# long it takes.
job() {
	local weight=$1 seconds=$2 units=() any=
	shift 2
	while [[ $1 != -- ]]; do
		units+=("$1")
		! wanted "$1" || any=1
		shift
	done
	shift
	[[ -n $any ]] || return 0
	UNITS+=("${units[@]}")
	JOBS+=("$(printf '%q ' "$@")")
	JOB_UNITS+=("$(printf '%s\n' "${units[@]}")")
	JOB_WEIGHT+=("$weight")
	JOB_SECONDS+=("$seconds")
}

# last_job UNIT -- COMMAND...: the same for something that looks at what the others left.
last_job() {
	UNITS+=("$1")
	LAST_JOBS+=("$(printf '%q ' "${@:3}")")
}

# run_job NUMBER: and every unit that it said nothing of has failed.
run_job() {
	local unit status=0 log=$WORK/job-$1.log
	eval "${JOBS[$1]}" >"$log" 2>&1 </dev/null || status=$?
	while read -r unit; do
		! was_reported "$unit" || continue
		echo "check: no result, exit status $status" >>"$log"
		report "$unit" 0 1 0 0 0 "$log"
	done <<<"${JOB_UNITS[$1]}"
}

# run_jobs: all of them, those that take longest first, as many at a time as the
# processors that may be used can take.
run_jobs() {
	local queue number pid load=0 i
	local -A running=()
	mapfile -t queue < <(for i in "${!JOBS[@]}"; do
		echo "${JOB_SECONDS[i]} $i"
	done | sort -s -k 1,1nr | cut -d ' ' -f 2)
	for number in "${queue[@]}"; do
		while ((load >= 10 * PARALLEL)); do
			pid=
			wait -n -p pid "${!running[@]}" || true
			load=$((load - JOB_WEIGHT[${running[$pid]}]))
			unset "running[$pid]"
		done
		run_job "$number" 3>&1 >&2 &
		running[$!]=$number
		load=$((load + JOB_WEIGHT[number]))
	done
	((!${#running[@]})) || wait "${!running[@]}" || true
	for i in "${LAST_JOBS[@]}"; do
		eval "$i" 3>&1
	done
}
