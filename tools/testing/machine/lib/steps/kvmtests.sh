# The kernel tree's own KVM selftests, as programs for s390x.
# shellcheck shell=bash disable=SC2034

kvmtests_about="KVM selftests of Linux %s"
kvmtests_takes="20 s"
kvmtests_needs=(tree linux)

kvmtests_inputs() {
	:
}

# Their makefile lists the programs of its architecture by itself: every
# program that it leaves behind is a test. It tries the linker's options in
# the source, unless told of another place.
kvmtests_make() {
	in_tree "$(result_at linux):/linux:ro" "$OUT:/out" -- bash -euc '
		make -s -C /linux O=/tmp/headers ARCH=s390 CROSS_COMPILE=s390x-linux-gnu- \
			headers_install INSTALL_HDR_PATH=/tmp/headers/usr
		make -C /linux/tools/testing/selftests/kvm ARCH=s390 CROSS_COMPILE=s390x-linux-gnu- \
			KHDR_INCLUDES="-isystem /tmp/headers/usr/include" USERLDFLAGS=-s \
			TMPOUT="/tmp/try-\$\$\$\$" OUTPUT=/out -j"$(nproc)" all
		cd /out
		find . -type f ! -perm -u+x -delete
		find . -mindepth 1 -type d -empty -delete
		find * -type f ! -path tests | LC_ALL=C sort >tests'
}
