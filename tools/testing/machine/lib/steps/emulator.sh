# The emulator: QEMU from Debian's source package with our AP and SIE.
#
# It is built in a directory that stays, so that a change to a file of ours
# compiles what depends on it and no more.
# shellcheck shell=bash disable=SC2034

emulator_about="emulator (QEMU $QEMU_SERIES with AP and SIE)"
emulator_takes="4 min"
emulator_needs=(tree qemusource)

emulator_inputs() {
	echo tools/testing/machine/qemu
}

emulator_make() {
	local work=$CACHE_DIR/work/emulator-${STEP_KEY[qemusource]} old
	for old in "$CACHE_DIR"/work/emulator-*; do
		[[ $old == "$work" || ! -e $old ]] || remove "$old"
	done
	mkdir -p "$work"
	in_tree "$(result qemusource):/source:ro" "$work:/work" "$OUT:/out" "$MACHINE_DIR/qemu:/qemu:ro" -- /qemu/build
}
