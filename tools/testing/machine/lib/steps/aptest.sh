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
	in_kernel "$OUT/source:/module:ro" "$OUT/build:/build" -- \
		make -C /linux O=/kernel M=/module MO=/build ARCH=s390 \
		CROSS_COMPILE=s390x-linux-gnu- modules
	mv "$OUT/build/ap_instructions.ko" "$OUT/"
	cp "$MACHINE_DIR/tests/ap/inside" "$OUT/"
	remove "$OUT/build" "$OUT/source"
}
