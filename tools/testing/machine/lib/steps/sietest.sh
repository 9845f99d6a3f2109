# The tests of the emulated SIE instruction, a kernel module.
# shellcheck shell=bash disable=SC2034

sietest_about="tests of the SIE instruction"
sietest_needs=(tree linux kernel)

sietest_inputs() {
	echo tools/testing/machine/tests/sie
}

sietest_make() {
	mkdir "$OUT/source" "$OUT/build"
	cp "$MACHINE_DIR/tests/sie"/{Kbuild,*.c} "$OUT/source/"
	kernel_module_make "$OUT/source:/module:ro" "$OUT/build:/build" -- modules
	mv "$OUT/build/sie_instruction.ko" "$OUT/"
	cp "$MACHINE_DIR/tests/sie/inside" "$OUT/"
	remove "$OUT/build" "$OUT/source"
}
