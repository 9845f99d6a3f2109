# What only a kernel with many eyes sees: KASAN, lockdep, kmemleak and more. To be sourced
# by bash, by check.
# shellcheck shell=bash disable=SC2034,SC2154

debug_title="the selftests with our driver on the debug kernel, on 1 and on 4 CPUs"
debug_steps="tree relay rootfs kernel@debug emulator module@debug selftests testmodules@debug"

debug_jobs() {
	local cpus
	job 10 60 debug/reports -- tap_of debug/reports "$MACHINE_DIR/tests/debug"
	for cpus in "${CPUS[@]}"; do
		selftest_jobs debug rust "$cpus"
	done
}
