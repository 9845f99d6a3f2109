# QEMU for the emulated host, whose guests can be migrated together with their vfio-ap
# devices: Debian's source with a patch of ours, cross-built. Made only for those who
# ask for it: 'run --migratable'.
# shellcheck shell=bash disable=SC2034

migratable_about="QEMU $QEMU_SERIES for the emulated host, with migration of vfio-ap"
migratable_takes="4 min"
migratable_needs=(tree qemusource sysroot)

migratable_inputs() {
	echo tools/testing/machine/migratable
}

migratable_make() {
	local work=$CACHE_DIR/work/migratable
	remove "$work"
	mkdir -p "$work"
	in_tree "$(result qemusource):/source:ro" "$(result sysroot):/sysroot:ro" "$work:/work" \
		"$OUT:/out" "$MACHINE_DIR/migratable:/migratable:ro" -- /migratable/build
	remove "$work"
}
