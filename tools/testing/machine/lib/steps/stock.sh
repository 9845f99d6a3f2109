# The emulator without what is ours, to compare with: the same source, built in
# the same way. Only the benchmark needs it.
# shellcheck shell=bash disable=SC2034

stock_about="stock emulator (QEMU $QEMU_SERIES)"
stock_takes="3 min"
stock_needs=(tree qemusource)

stock_inputs() {
	echo tools/testing/machine/qemu/build
}

stock_make() {
	local work=$CACHE_DIR/work/stock-${STEP_KEY[qemusource]}
	mkdir -p "$work" "$OUT/recipe"
	cp "$MACHINE_DIR/qemu/build" "$OUT/recipe/"
	in_tree "$(result qemusource):/source:ro" "$work:/work" "$OUT:/out" "$OUT/recipe:/qemu:ro" -- /qemu/build
	remove "$work" "$OUT/recipe"
}
