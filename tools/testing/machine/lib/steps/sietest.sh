# The tests of the emulated SIE instruction, a kernel module.
# shellcheck shell=bash disable=SC2034

sietest_about="tests of the SIE instruction"
sietest_takes="5 s"
sietest_needs=(tree linux kernel)

sietest_inputs() {
	echo tools/testing/machine/tests/sie
}

sietest_make() {
	test_module_make sie sie_instruction
}
