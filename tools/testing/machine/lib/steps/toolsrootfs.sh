# The emulated host's root file system with the tools of toolsuserspace.
# shellcheck shell=bash disable=SC2034

toolsrootfs_about="root file system with libvirt"
toolsrootfs_takes="20 s"
toolsrootfs_needs=(tree toolsuserspace)

toolsrootfs_inputs() {
	rootfs_inputs
	echo tools/testing/machine/tools
}

toolsrootfs_make() {
	in_tree "$(result toolsuserspace):/userspace:ro" "$MACHINE_DIR:/machine:ro" "$OUT:/out" -- \
		/machine/rootfs/build /machine/tools/complete
}
