# The kernel's source, unpacked.
# shellcheck shell=bash disable=SC2034

linux_about="source of Linux ${LINUX_PACKAGE#linux-source-}"
linux_needs=(tree)

linux_inputs() {
	:
}

linux_make() {
	in_tree "$OUT:/linux" -- \
		tar -C /linux --strip-components=1 -xf "/usr/src/$LINUX_PACKAGE.tar.xz"
}
