# The driver's selftests. To be sourced by bash, by check.
# shellcheck shell=bash disable=SC2034,SC2154

selftests_title="the selftests of the driver, with both drivers, on 1 and on 4 CPUs"
selftests_steps="tree relay rootfs kernel emulator module selftests testmodules uvtest"

# Those that take longest, most of it waiting: their hosts take a fraction of a
# processor. The hosts of the others keep one busy.
readonly LONG_TESTS=(isolation notify kvmlock)

# What the C driver is spared, and how each of these defects shows.
readonly DEFECTS=$REPO_DIR/tools/testing/selftests/vfio_ap/c_defects

selftests_jobs() {
	local driver cpus test
	for driver in "${DRIVERS[@]}"; do
		for cpus in "${CPUS[@]}"; do
			selftest_jobs selftests "$driver" "$cpus"
			job 10 15 "selftests/protected $(which_host "$driver" "$cpus")" -- \
				protected_guests "$driver" "$cpus"
		done
		job 10 3 "selftests/without-ap [$driver]" -- one "selftests/without-ap [$driver]" \
			load_without_ap "$driver"
	done
	[[ " ${DRIVERS[*]} " == *' c '* ]] || return 0
	# What is known to bring the host down shows with one CPU. Some wait for minutes.
	while read -r _ _ test; do
		job 4 120 "selftests/c-defect-${test##*.}" -- try_defect "$test"
	done < <(defects)
	# Says something only of what has run.
	[[ " ${SELECTED[*]} " != *' selftests '* ]] ||
		last_job selftests/c-defects -- one selftests/c-defects defects_complete
}

# program_names: prints the selftests' names.
program_names() {
	sed -n 's/^TEST_GEN_PROGS [:+]= *//p' "$REPO_DIR/tools/testing/selftests/vfio_ap/Makefile" |
		tr ' ' '\n'
}

# is_long NAME
is_long() {
	[[ " ${LONG_TESTS[*]} " == *" $1 "* ]]
}

# which_host DRIVER CPUS [MORE]: in which host, behind a unit's name.
which_host() {
	local text="$2 CPUs"
	(($2 > 1)) || text="1 CPU"
	printf '[%s, %s%s]' "$1" "$text" "${3:+, $3}"
}

# selftest_jobs PART DRIVER CPUS [NAME...]: the jobs that run these of the selftests,
# or all of them.
selftest_jobs() {
	local part=$1 driver=$2 cpus=$3 names=("${@:4}") name where short=() long=()
	where=$(which_host "$driver" "$cpus" "$([[ $LINUX == "$MAIN_LINUX" ]] || echo "Linux $LINUX")")
	((${#names[@]})) || mapfile -t names < <(program_names)
	for name in "${names[@]}"; do
		wanted "$part/$name" || continue
		if is_long "$name"; then
			long+=("$name")
		else
			short+=("$name")
		fi
	done
	if [[ $part == debug ]]; then
		# A kernel that looks at everything takes its time: by halves.
		selftest_job 3 1000 debug "${long[@]}"
		mapfile -t long < <(every_second "${short[@]}")
		selftest_job 10 900 debug "${long[@]}"
		mapfile -t long < <(every_second "${short[@]:1}")
		selftest_job 10 900 debug "${long[@]}"
	else
		selftest_job 10 200 - "${short[@]}"
		selftest_job 3 250 - "${long[@]}"
	fi
}

# every_second WORD...: prints the first, the third and so on, in lines.
every_second() {
	local i
	for ((i = 1; i <= $#; i += 2)); do
		printf '%s\n' "${!i}"
	done
}

# selftest_job WEIGHT SECONDS KERNEL NAME...: of what selftest_jobs has in its variables.
selftest_job() {
	local weight=$1 seconds=$2 kernel=$3 units=()
	shift 3
	(($#)) || return 0
	mapfile -t units < <(printf "$part/%s $where\n" "$@")
	job "$weight" "$seconds" "${units[@]}" -- \
		selftests_of "$part" "$where" "$driver" "$cpus" "$LINUX" "$kernel" "$@"
}

# share_selftests DIR [KERNEL]: puts the programs into DIR, and the modules that they
# load.
share_selftests() {
	local CONFIGURATION=${2:-}
	cp "$(result_at selftests)"/* "$(result_at testmodules)"/*.ko "$1/"
}

# selftests_of PART WHERE DRIVER CPUS LINUX KERNEL NAME...: runs these of them in a host
# with so many CPUs, booting again behind one that brings it down. KERNEL is - for the
# usual one.
selftests_of() {
	local part=$1 where=$2 driver=$3 LINUX=$5 kernel=${6#-} left=("${@:7}") limit=1800
	# Some guests of kvmlock have a guest.
	local options=("--cpus=$4" "--linux=$5" --append=kvm.nested=1) dir status name line
	[[ -z $kernel ]] || {
		options+=("--kernel=$kernel" --env=VFIO_AP_TIMEOUT_FACTOR=4)
		limit=7200
	}
	[[ -z ${ONE_TEST:-} ]] || options+=("--env=VFIO_AP_ONE_TEST=$ONE_TEST")
	dir=$(mktemp -d "$WORK/selftests.XXXXXX")
	mkdir -p "$dir/share/results"
	share_selftests "$dir/share" "$kernel"
	cp "$MACHINE_DIR/lib/selftests-inside" "$dir/share/"
	while ((${#left[@]})); do
		status=0
		# A highest domain below 255, for there is to be one that is too high.
		"${RUN[@]}" --driver="$driver" "${options[@]}" --share="$dir/share" \
			--env=VFIO_AP_TEST_MODULES=/mnt \
			--emulator-arg=-global --emulator-arg=ap-bridge.max-domain-id=200 \
			--log="$dir/console" --timeout=$((4 * limit)) --no-stdin -- \
			./selftests-inside "$limit" "${left[@]}" 2>&1 |
			while IFS= read -r line; do
				printf '%s\n' "$line"
				[[ $line != 'selftest ended: '* ]] ||
					report_selftest "$part/${line#*: } $where" "$dir/share/results/${line#*: }"
			done >"$dir/run.output" || status=${PIPESTATUS[0]}
		while ((${#left[@]})) && [[ -e $dir/share/results/${left[0]}.status ]]; do
			left=("${left[@]:1}")
		done
		((${#left[@]})) || break
		((status != 77)) || continue
		# The next one did not come to its end, and with it the host.
		name=$dir/share/results/${left[0]}
		cat "$dir/run.output" >>"$name.output" 2>/dev/null || true
		tail -n 60 "$dir/console" | tr -d '\r' >"$name.log" || true
		echo 0 >"$name.time"
		echo "host:$status" >"$name.status"
		report_selftest "$part/${left[0]} $where" "$name"
		left=("${left[@]:1}")
	done
	# Much of it is copies of the programs.
	rm -rf "$dir"
}

# report_selftest UNIT FILES: what selftests-inside has left.
report_selftest() {
	local files=$2 status why=
	status=$(<"$files.status")
	[[ -e $files.output ]] || : >"$files.output"
	if [[ $status == host:* ]]; then
		why="it brought the emulated host down; its log is above"
		cat "$files.log" >>"$files.output"
	elif alarms -q "$files.log"; then
		why="the kernel complained; its log is above"
		cat "$files.log" >>"$files.output"
	fi
	sed -n 's/^ok [0-9]* \([^ ]*\) # SKIP C driver: .*/\1/p' "$files.output" >>"$WORK/spared-on-c"
	report_tap "$1" "${status#host:}" "$(<"$files.time")" "$files.output" "$why"
}

# defects: prints PARAMETER, PROGRAM and TEST of each.
defects() {
	awk '/^[^#]/ && !seen[$3]++ { print $1, $2, $3 }' "$DEFECTS"
}

# try_defect TEST: in a host of its own, where it has to show.
try_defect() {
	local wanted=$1 unit=selftests/c-defect-${1##*.} dir parameter program test status=0
	local start=$EPOCHREALTIME
	read -r parameter program test < <(defects | awk -v test="$wanted" '$3 == test')
	dir=$(mktemp -d "$WORK/defect.XXXXXX")
	mkdir "$dir/share"
	share_selftests "$dir/share"
	"${RUN[@]}" --driver=c --append="${parameter#-}" --timeout=900 \
		--env=VFIO_AP_TRY_DEFECTS=1 --env=VFIO_AP_TEST_MODULES=/mnt \
		--share="$dir/share" --log="$dir/console" \
		--no-stdin -- "./$program" -r "$test" >"$dir/output" 2>&1 </dev/null || status=$?
	echo "check: exit status $status" >>"$dir/output"
	status=0
	defect_shows "$dir" "$test" >"$dir/report" 2>&1 || status=1
	report "$unit" $((!status)) "$status" 0 0 "$(since "$start")" "$dir/report"
	rm -rf "$dir"
}

# defect_shows DIR TEST
defect_shows() {
	local dir=$1 test=$2 sign bad=0
	cat "$dir/output"
	if grep -qE '^ok [0-9]' "$dir/output"; then
		echo "the C driver passes: if it was mended, take the test out of $DEFECTS, and its SKIP_ON_C() away"
		bad=1
	fi
	tr -d '\r' <"$dir/console" >"$dir/kernel"
	while read -r sign; do
		grep -aqE -- "$sign" "$dir/output" "$dir/kernel" || {
			echo "neither the test nor the kernel says: $sign"
			bad=1
		}
	done < <(awk -v name="$test" '/^[^#]/ && $3 == name' "$DEFECTS" | cut -d ' ' -f 4-)
	return $bad
}

# defects_complete: what was skipped in the C driver's runs stands there.
defects_complete() {
	local test bad=0
	while read -r test; do
		defects | awk '{ print $3 }' | sed 's/\.[^.]*\././' | grep -xF -- "$test" || {
			echo "$test is skipped with the C driver, and not in $DEFECTS"
			bad=1
		}
	done < <(sed 's/\.[^.]*\././' "$WORK/spared-on-c" | sort -u)
	return $bad
}

# Without AP instructions the driver is not for this machine, and leaves nothing.
load_without_ap() {
	local driver=$1 said status=0
	said=$("${RUN[@]}" --driver="$driver" --no-load --ap none --no-stdin --timeout=900 -- \
		sh -c 'modprobe kvm; modprobe vfio_ap && exit 1
			ls -d /sys/devices/vfio_ap /sys/bus/matrix /sys/module/vfio_ap
			test ! -e /sys/kernel/debug/s390dbf/vfio_ap' 2>&1) || status=$?
	echo "$said"
	[[ $said == *"No such device"* && $said != *$'\n'/sys/* ]] || return 1
	# The C driver leaves its debug feature behind.
	if [[ $driver == c ]]; then
		((status))
	else
		((!status))
	fi
}

# protected_guests DRIVER CPUS: with a stand-in for the Ultravisor, which is not emulated.
protected_guests() {
	local driver=$1 cpus=$2 dir status=0 start=$EPOCHREALTIME
	dir=$(mktemp -d "$WORK/protected.XXXXXX")
	mkdir "$dir/share"
	cp "$(result_at selftests)/protected" "$(result_at uvtest)"/{inside,ultravisor_standin.ko} \
		"$dir/share/"
	"${RUN[@]}" --driver="$driver" --module="$(result_at uvtest)/$driver/vfio_ap.ko" \
		--cpus="$cpus" --no-load --share="$dir/share" --no-stdin --timeout=1800 -- \
		./inside >"$dir/output" 2>&1 </dev/null || status=$?
	report_tap "selftests/protected $(which_host "$driver" "$cpus")" "$status" \
		"$(since "$start")" "$dir/output"
	rm -rf "$dir"
}
