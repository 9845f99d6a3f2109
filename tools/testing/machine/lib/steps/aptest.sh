# The tests of the emulated AP instructions, a kernel module.
# shellcheck shell=bash disable=SC2034

aptest_about="tests of the AP instructions"
aptest_takes="5 s"
aptest_needs=(tree linux kernel)

aptest_inputs() {
	echo tools/testing/machine/tests/ap
}

aptest_make() {
	test_module_make ap ap_instructions
}
