# The emulated host's user space with more of the tools that administrators of real hosts
# have; of the same suite as the usual one. Made only for those who ask for it: 'run
# --tools'.
# shellcheck shell=bash disable=SC2034

toolsuserspace_about="Debian's s390x packages, with libvirt"
toolsuserspace_takes="1 min"
toolsuserspace_needs=(userspace)

toolsuserspace_inputs() {
	echo tools/testing/machine/rootfs/packages
	echo tools/testing/machine/tools/packages
}

toolsuserspace_make() {
	local choices
	mapfile -t choices < <(userspace_choices)
	take toolsuserspace_from "${choices[@]}"
}

# toolsuserspace_from SUITE
toolsuserspace_from() {
	s390x_packages "$MACHINE_DIR"/{rootfs,tools}/packages "$1"
	# Of QEMU: what is for other machines, or for displays and sound.
	in_namespace find "$OUT/usr/share/qemu" -type f ! -name 's390-*' -delete
	in_namespace rm -rf "$OUT"/usr/lib/s390x-linux-gnu/qemu
}
