# What the benchmark of the driver runs: the program that does the operations,
# with what else is in its initial file system, and the emulator's plugin.
# shellcheck shell=bash disable=SC2034

bench_about="benchmark"
bench_takes="10 s"
bench_needs=(tree userspace linux kernel emulator)

bench_inputs() {
	echo tools/testing/bench
	echo tools/testing/selftests/vfio_ap/lib
}

bench_make() {
	in_kernel "$REPO_DIR/tools/testing:/testing:ro" "$(result emulator):/emulator:ro" \
		"$(result userspace):/userspace:ro" "$OUT:/out" -- /testing/bench/build
}
