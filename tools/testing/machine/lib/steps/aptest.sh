# The tests of the emulated AP instructions, a kernel module.
# shellcheck shell=bash disable=SC2034

aptest_about="tests of the AP instructions"
aptest_needs=(tree linux kernel)

aptest_inputs() {
	echo tools/testing/machine/tests/ap
}

aptest_make() {
	mkdir "$OUT/source" "$OUT/build"
	cp "$MACHINE_DIR/tests/ap"/{Kbuild,*.c} "$OUT/source/"
	kernel_module_make "$OUT/source:/module:ro" "$OUT/build:/build" -- modules
	mv "$OUT/build/ap_instructions.ko" "$OUT/"
	cp "$MACHINE_DIR/tests/ap/inside" "$OUT/"
	remove "$OUT/build" "$OUT/source"
}
