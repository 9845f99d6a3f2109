# What QEMU for the emulated host is linked with: Debian's s390x libraries and their
# headers, of the suite that the emulated host's user space is from.
# shellcheck shell=bash disable=SC2034

sysroot_about="Debian's s390x libraries, to link with"
sysroot_takes="30 s"
sysroot_needs=(userspace)

sysroot_inputs() {
	echo tools/testing/machine/migratable/packages
}

sysroot_make() {
	local choices
	mapfile -t choices < <(userspace_choices)
	take sysroot_from "${choices[@]}"
}

# sysroot_from SUITE
sysroot_from() {
	s390x_packages "$MACHINE_DIR/migratable/packages" "$1"
	# The libraries' linker scripts and links name /lib.
	[[ -e $OUT/lib ]] || in_namespace ln -s usr/lib "$OUT/lib"
}
