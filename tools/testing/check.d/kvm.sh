# The KVM selftests of the kernel's tree, compared with machine/tests/kvm/expected. To be
# sourced by bash, by check.
# shellcheck shell=bash disable=SC2034,SC2154

kvm_title="the kernel's KVM selftests"
kvm_steps="tree relay rootfs kernel emulator kvmtests"

kvm_jobs() {
	kvm_jobs_of kvm 1G 1800
}

kvm_all_title="those of the KVM selftests that take minutes"
kvm_all_steps=$kvm_steps

kvm_all_jobs() {
	kvm_jobs_of kvm-all 3G 7200
}

# kvm_jobs_of PART MEMORY SECONDS: all tests of that part, each at most so long.
kvm_jobs_of() {
	local part=$1 cpus test units=()
	job 10 1 "$part/list" -- one "$part/list" kvm_list_check
	while read -r _ cpus _ test; do
		units+=("$(kvm_unit "$part" "$cpus" "$test")")
	done < <(kvm_expected "$part")
	((!${#units[@]})) || job 20 70 "${units[@]}" -- kvm_part "$@"
}

# kvm_unit PART CPUS TEST
kvm_unit() {
	local cpus="$2 CPUs"
	(($2 > 1)) || cpus="1 CPU"
	printf '%s/%s [%s]' "$1" "$3" "$cpus"
}

# kvm_expected PART: the lines of a part that are wanted, without comments.
kvm_expected() {
	local part cpus verdict test
	while read -r part cpus verdict test; do
		! wanted "$part/$test" || echo "$part $cpus $verdict $test"
	done < <(awk -v part="$1" '{ sub(/#.*/, "") } $1 == part && $3 != "long" { $1 = $1; print }' \
		"$MACHINE_DIR/tests/kvm/expected")
}

# kvm_list_check: every test of the kernel's is on the list, and no other; and
# what is not simply to pass has its reason.
kvm_list_check() {
	diff --label "tests of the kernel" --label tests/kvm/expected -U 0 \
		"$(result_at kvmtests)/tests" <(awk '{ sub(/#.*/, "") } NF { print $4 }' \
			"$MACHINE_DIR/tests/kvm/expected" | LC_ALL=C sort -u) || return
	! awk '/^(#|$)/ { next }
		!/^kvm(-all)? +[0-9]+ +(skip|long|pass(,[0-9]+)?|(fail|abort),[0-9]+) +[a-z]/ ||
		(!/ pass / || NF > 4) && !/ # ./ { print FILENAME ":" FNR ": " $0 }' \
		"$MACHINE_DIR/tests/kvm/expected" | grep .
}

# kvm_machine DIR NAME CPUS MEMORY SECONDS: runs what is left of the list for so many
# CPUs; boots again behind a test that brings the host down.
kvm_machine() {
	local dir=$1 name=$2 cpus=$3 memory=$4 limit=$5 status claim found=1
	while ((found)); do
		status=0
		"${RUN[@]}" --driver=none --ap=none --cpus="$cpus" --mem="$memory" --share="$dir" \
			--log="$dir/$name.console" --no-stdin -- ./inside "$name" "$cpus" "$limit" \
			>"$dir/$name.output" 2>&1 || status=$?
		((status)) || break
		found=0
		for claim in "$dir"/results/*/machine; do
			if [[ -s $claim && $(<"$claim") == "$name" && ! -e ${claim%/*}/status ]]; then
				cat "$dir/$name.output" >>"${claim%/*}/output"
				tail -n 60 "$dir/$name.console" | tr -d '\r' >"${claim%/*}/log"
				echo 0 >"${claim%/*}/time"
				echo "host:$status" >"${claim%/*}/status"
				found=1
			fi
		done
	done
}

# kvm_judge DIR VERDICT: whether the test in DIR did as expected. Prints PASSED
# FAILED SKIPPED KNOWN-TO-FAIL and, behind them, what is not as expected.
kvm_judge() {
	local dir=$1 verdict=$2 status passed=0 failed=0 skipped=0 known=0 why=
	status=$(<"$dir/status")
	if grep -aqE '^1\.\.[1-9]' "$dir/output"; then
		read -r passed failed skipped known why < <(tap "$dir/output" "${status#host:}")
	elif [[ $status == 0 ]]; then
		passed=1
	elif [[ $status == 4 ]]; then
		skipped=1
	else
		failed=1
	fi
	case $status in
	host:*) why="it brought the emulated host down" ;;
	124 | 137) why="it was not done in time" ;;
	4) [[ $verdict == skip ]] || why="it was skipped" ;;
	*)
		case $verdict in
		skip) why="it was not skipped" ;;
		pass) ((!skipped)) || why="$skipped of its results were skipped" ;;
		pass,*) [[ ${verdict#*,} == "$skipped" ]] || why="$skipped of its results were skipped" ;;
		fail,*)
			if [[ ${verdict#*,} == "$failed" ]]; then
				known=$failed failed=0
			else
				why="$failed of its results failed"
			fi
			;;
		abort,*)
			if [[ $passed == "${verdict#*,}" && $status != 0 ]] &&
				! grep -aq '^not ok' "$dir/output"; then
				known=1 failed=0 why=
			else
				why="$passed of its results passed"
			fi
			;;
		esac
		;;
	esac
	if alarms -q "$dir/log"; then
		why+="${why:+; }the kernel complained"
	fi
	[[ -z $why ]] || ((failed)) || failed=1
	echo "$passed $failed $skipped $known $why"
}

# kvm_part PART MEMORY SECONDS
kvm_part() {
	local part=$1 memory=$2 limit=$3 dir=$WORK/$1 expected others i cpus verdict test log unit
	local passed failed skipped known why
	mapfile -t expected < <(kvm_expected "$part")
	cp -r "$(result_at kvmtests)" "$dir"
	cp "$MACHINE_DIR/tests/kvm/inside" "$dir/"
	mkdir "$dir/results"
	for i in "${expected[@]}"; do
		read -r part cpus verdict test <<<"$i"
		printf '%s %s\n' "$cpus" "$test"
	done >"$dir/list"
	# Each machine with one CPU keeps one core busy.
	kvm_machine "$dir" first 1 "$memory" "$limit" &
	others=($!)
	kvm_machine "$dir" second 1 "$memory" "$limit" &
	others+=($!)
	for cpus in $(awk '$1 > 1 { print $1 }' "$dir/list" | sort -nu); do
		kvm_machine "$dir" "with-$cpus" "$cpus" "$memory" "$limit"
	done
	wait "${others[@]}"
	for i in "${!expected[@]}"; do
		read -r part cpus verdict test <<<"${expected[i]}"
		log=$dir/results/$((i + 1))
		unit=$(kvm_unit "$part" "$cpus" "$test")
		if [[ ! -e $log/status ]]; then
			cat "$dir"/*.output >"$dir/report"
			echo "check: $test was not run" >>"$dir/report"
			report "$unit" 0 1 0 0 0 "$dir/report"
			continue
		fi
		read -r passed failed skipped known why < <(kvm_judge "$log" "$verdict")
		cp "$log/output" "$log/report"
		((!failed)) || printf 'check: %s\ncheck: the log of the kernel:\n%s\n' \
			"${why:-exit status $(<"$log/status")}" "$(<"$log/log")" >>"$log/report"
		report "$unit" "$passed" "$failed" "$skipped" "$known" "$(<"$log/time")" "$log/report"
	done
}
