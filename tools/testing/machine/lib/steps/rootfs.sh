# The image of the emulated host's root file system.
# shellcheck shell=bash disable=SC2034

rootfs_about="root file system of the emulated host"
rootfs_takes="10 s"
rootfs_needs=(tree userspace)

rootfs_inputs() {
	echo tools/testing/machine/rootfs
	echo tools/testing/machine/relay
	echo tools/testing/machine/lib/common.sh
	echo tools/testing/machine/lib/boot.sh
	echo tools/testing/machine/lib/session.sh
}

rootfs_make() {
	in_tree "$(result userspace):/userspace:ro" "$MACHINE_DIR:/machine:ro" "$OUT:/out" -- \
		/machine/rootfs/build
}
