# What came of the units of 'check': counted, shown and kept. To be sourced by bash, by
# check.
# shellcheck shell=bash

. "$MACHINE_DIR/lib/alarms.sh"

# slug UNIT: its name as that of a file.
slug() {
	local name=${1//[^A-Za-z0-9._]/-}
	while [[ $name == *--* ]]; do
		name=${name//--/-}
	done
	printf '%s' "${name%-}"
}

# since START: so many milliseconds have passed, START being $EPOCHREALTIME then.
since() {
	echo $(((${EPOCHREALTIME/[.,]/} - ${1/[.,]/}) / 1000))
}

# record VERDICT UNIT PASSED FAILED SKIPPED KNOWN MS TEXT [LOG]: one line of the
# summary. Several jobs do that at the same time.
record() {
	local verdict=$1 unit=$2 ms=$7 text=$8 kept=
	if [[ -n ${9:-} ]]; then
		kept=$LOGS/$(slug "$unit").log
		cp "$9" "$kept"
	fi
	(
		flock 9
		printf '%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n' "$verdict" "$unit" "$3" "$4" "$5" "$6" "$ms" \
			"$kept" >>"$WORK/records"
		printf '[%*d/%d] %-6s %-52s %s %*d.%d s\n' ${#TOTAL} "$(wc -l <"$WORK/records")" \
			"$TOTAL" "$verdict" "$unit" "$text" $((40 - ${#text})) $((ms / 1000)) \
			$((ms % 1000 / 100))
		if [[ $verdict != ok && -n $kept ]]; then
			tail -n 60 "$kept" | sed 's/^/  | /'
			echo "  | all of it: $kept"
		fi
	) 9>"$WORK/lock" >&3
}

# report UNIT PASSED FAILED SKIPPED KNOWN MS [LOG]: so many of its results passed, failed,
# were skipped as expected, and failed as expected.
report() {
	local verdict=ok text="$2 passed"
	(($3 == 0)) || verdict=FAILED text+=", $3 failed"
	(($4 == 0)) || text+=", $4 skipped"
	(($5 == 0)) || text+=", $5 known"
	record "$verdict" "$1" "$2" "$3" "$4" "$5" "$6" "$text" "${7:-}"
}

# host_tap UNIT SHARE OPTION... -- COMMAND...: runs it in a host with that directory, and
# reports its results. A complaint of the host's kernel is a failure.
host_tap() {
	local unit=$1 share=$2 start=$EPOCHREALTIME status=0 why='' dir
	shift 2
	dir=$(mktemp -d "$WORK/host.XXXXXX")
	"${RUN[@]}" --share="$share" --log="$dir/console" --no-stdin "$@" >"$dir/output" 2>&1 \
		</dev/null || status=$?
	if alarms -q "$dir/console"; then
		why="the host's kernel complained; its log is above"
		alarms -A 20 "$dir/console" | head -n 40 >>"$dir/output"
	fi
	report_tap "$unit" "$status" "$(since "$start")" "$dir/output" "$why"
	rm -rf "$dir"
}

# tests_of UNIT DIR OPTION... -- COMMAND...: the same with the tests in machine/tests/DIR,
# and what all of these need.
tests_of() {
	local unit=$1 share
	share=$(mktemp -d "$WORK/tests.XXXXXX")
	cp "$MACHINE_DIR/tests/$2"/* "$MACHINE_DIR/tests/tap.sh" "$ALARMS" "$share/"
	host_tap "$unit" "$share" "${@:3}"
	rm -rf "$share"
}

# was_reported UNIT
was_reported() {
	# One process: grep -q in a pipe would end before its writer, which then fails.
	UNIT=$1 awk -F '\t' '$2 == ENVIRON["UNIT"] { found = 1 } END { exit !found }' "$WORK/records"
}

# one UNIT COMMAND...: a check that passes or fails as a whole.
one() {
	local unit=$1 start=$EPOCHREALTIME status=0 log
	shift
	log=$WORK/$(slug "$unit").log
	("$@") >"$log" 2>&1 </dev/null || status=1
	report "$unit" $((!status)) "$status" 0 0 "$(since "$start")" "$log"
}

# newer VERSION KNOWN: the version is newer than the newest known one, as far as that
# one is given.
newer() {
	local version dots=${2//[^.]/}
	version=$(cut -d . -f "1-$((${#dots} + 1))" <<<"$1")
	[[ $version != "$2" && $(printf '%s\n' "$version" "$2" | sort -V | tail -n 1) == "$version" ]]
}

# lint UNIT TOOL VERSION KNOWN COMMAND...: what the tool complains of fails, unless it
# is newer than the newest version that is known: then it is a note.
lint() {
	local unit=$1 tool=$2 version=$3 known=$4 start=$EPOCHREALTIME log
	shift 4
	if ! newer "$version" "$known"; then
		one "$unit" "$@"
		return
	fi
	log=$WORK/$(slug "$unit").log
	if ("$@") >"$log" 2>&1 </dev/null; then
		report "$unit" 1 0 0 0 "$(since "$start")" "$log"
	else
		record note "$unit" 0 0 0 0 "$(since "$start")" \
			"$tool $version is newer than $known, the newest that is known here" "$log"
	fi
}

# tap FILE STATUS: counts a program's results, as the kernel's TAP has them. Prints
# PASSED FAILED SKIPPED KNOWN and, behind them, why it failed as a whole.
tap() {
	awk -v status="$2" '
	/^1\.\.[0-9]+/ { plan = substr($1, 4) + 0; planned = 1 }
	# A race is not lost each time.
	/^ok [0-9]+ .*# XPASS C driver: at times / { ok++; next }
	/^ok [0-9]+ .*# XPASS C driver: / { not_ok++; next }
	# The harness says XPASS of a test that is expected to fail, and is skipped.
	/^ok [0-9]+ .*# (SKIP|XPASS)/ { skipped++; next }
	/^ok [0-9]+ .*# XFAIL/ { known++; next }
	/^ok [0-9]+/ { ok++ }
	/^not ok [0-9]+/ { not_ok++ }
	END {
		if (!planned)
			why = "no plan"
		else if (!plan)
			why = "no tests"
		else if (ok + not_ok + skipped + known != plan)
			why = ok + not_ok + skipped + known " results of " plan " tests"
		else if (status && !not_ok)
			why = "exit status " status
		if (why != "" && !not_ok)
			not_ok = 1
		print ok + 0, not_ok + 0, skipped + 0, known + 0, why
	}' "$1"
}

# unexpected_results UNIT FILE: prints the tests that were skipped although they are not in
# the file expected-skips, those that are there and were not skipped, and those that the
# C driver is known to fail and did not. What it is spared says so itself, and 'c_defects'
# has the reasons.
unexpected_results() {
	awk -v unit="$1" '
	function is(text, pattern) {
		gsub(/[][.]/, "\\\\&", pattern)
		gsub(/\*/, ".*", pattern)
		return text ~ ("^" pattern "$")
	}
	function is_expected(name, i) {
		for (i = 0; i < count; i++)
			if (is(name, expected[i]))
				return 1
		return 0
	}
	FNR == NR {
		sub(/ *#.*/, "")
		if (split($0, field, /  +/) == 2 && is(unit, field[1]))
			expected[count++] = field[2]
		next
	}
	!/^(not )?ok [0-9]+ / { next }
	{
		name = reason = $0
		sub(/^(not )?ok [0-9]+ (- )?/, "", name)
		sub(/ *(#.*)?$/, "", name)
		passes = reason ~ /# XPASS C driver: /
		known_to_fail = passes && reason !~ /: at times /
		skipped = !passes && sub(/.*# (SKIP|XPASS) */, "", reason)
	}
	known_to_fail { print name " passes with the C driver: take its C_DEFECT() away" }
	skipped && (index(unit, "[c,") || index(unit, "[c]")) && reason ~ /^C driver/ { next }
	skipped && !is_expected(name) {
		print name " was skipped, which is not expected: " reason
	}
	!skipped && is_expected(name) { print name " was not skipped: take it out of expected-skips" }
	' "$REPO_DIR/tools/testing/expected-skips" "$2"
}

# report_tap UNIT STATUS MS OUTPUT [WHY]: what a program that writes TAP came to; WHY
# says what else went wrong.
report_tap() {
	local unit=$1 output=$4 passed failed skipped known why=() text
	read -r passed failed skipped known text < <(tap "$output" "$2")
	[[ -z $text ]] || why+=("$text")
	mapfile -t -O ${#why[@]} why < <(unexpected_results "$unit" "$output")
	if [[ -n ${5:-} ]]; then
		why+=("$5")
		failed=$((failed + 1))
	fi
	if ((${#why[@]})); then
		((failed)) || failed=1
		printf 'check: %s\n' "${why[@]}" >>"$output"
	fi
	report "$unit" "$passed" "$failed" "$skipped" "$known" "$3" "$output"
}

# tap_of UNIT COMMAND...: runs a program that writes TAP.
tap_of() {
	local unit=$1 start=$EPOCHREALTIME status=0 log
	shift
	log=$WORK/$(slug "$unit").log
	"$@" >"$log" 2>&1 </dev/null || status=$?
	report_tap "$unit" "$status" "$(since "$start")" "$log"
}

# summary SECONDS: and fails if a unit did.
summary() {
	local passed failed skipped known noted verdict unit bad=()
	read -r passed failed skipped known noted < <(awk -F '\t' '
		{ p += $3; f += $4; s += $5; k += $6; n += $1 == "note" }
		END { print p + 0, f + 0, s + 0, k + 0, n + 0 }' "$WORK/records")
	while IFS=$'\t' read -r verdict unit _; do
		[[ $verdict != FAILED ]] || bad+=("$unit")
	done <"$WORK/records"
	"$CHECK_DIR/junit" "$WORK/records" >"$LOGS/junit.xml"
	printf '\nin %d s' "$1"
	((!skipped)) || printf '; %d skipped as expected' "$skipped"
	((!known)) || printf '; %d failed as known' "$known"
	((!noted)) || printf '; %d noted' "$noted"
	((!${#bad[@]})) || printf '; failed: %s' "$(printf '%s, ' "${bad[@]}" | sed 's/, $//')"
	printf '\nlogs and junit.xml: %s\n' "$LOGS"
	printf '%d passed, %d failed\n' "$passed" "$failed"
	((!failed))
}
