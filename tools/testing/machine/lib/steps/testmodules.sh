# The kernel modules that the selftests load.
# shellcheck shell=bash disable=SC2034

testmodules_about="modules for the selftests, for Linux %s"
testmodules_takes="5 s"
testmodules_needs=(tree linux kernel)

testmodules_inputs() {
	echo tools/testing/selftests/vfio_ap/modules
}

testmodules_make() {
	mkdir "$OUT/source" "$OUT/build"
	cp "$REPO_DIR"/tools/testing/selftests/vfio_ap/modules/{Kbuild,*.c} "$OUT/source/"
	kernel_module_make "$OUT/source:/module:ro" "$OUT/build:/build" -- modules
	mv "$OUT"/build/*.ko "$OUT/"
	remove "$OUT/build" "$OUT/source"
}
