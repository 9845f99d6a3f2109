# The benchmark: its report, and its smallest group, whose figures have to be the same
# again. To be sourced by bash, by check.
# shellcheck shell=bash disable=SC2034,SC2154

bench_title="the benchmark's figures are the same twice"
bench_steps="tree linux kernel emulator module bench"

bench_jobs() {
	job 10 1 bench/report -- one bench/report in_tree "$REPO_DIR:/repo:ro" -- \
		/repo/tools/testing/bench/report --self-test
	job 20 10 bench/same-twice -- one bench/same-twice bench_twice
}

bench_twice() {
	local time
	for time in first second; do
		"$REPO_DIR/tools/testing/bench/bench" --boots=1 --keep="$WORK/bench-$time" \
			isolation || return
	done
	diff -r "$WORK"/bench-{first,second}
}
