# The driver's selftests, as static programs for s390x.
# shellcheck shell=bash disable=SC2034

selftests_about="selftests for Linux %s"
selftests_takes="10 s"
selftests_needs=(tree linux kernel)

selftests_inputs() {
	echo tools/testing/selftests/vfio_ap
}

selftests_make() {
	in_kernel "$REPO_DIR/tools/testing/selftests/vfio_ap:/selftests:ro" "$OUT:/out" -- \
		make -C /selftests KSRC=/linux KHDR_INCLUDES='-isystem /kernel/usr/include' \
		ARCH=s390 CROSS_COMPILE=s390x-linux-gnu- CC=s390x-linux-gnu-gcc OUTPUT=/out \
		-j"$(nproc)" all
	in_kernel "$REPO_DIR/tools/testing/selftests/vfio_ap:/selftests:ro" "$OUT:/out" -- \
		make -s -C /selftests KSRC=/linux CROSS_COMPILE=s390x-linux-gnu- OUTPUT=/out \
		COLLECTION=vfio_ap emit_tests | sed -n 's/^vfio_ap://p' >"$OUT/tests"
}
