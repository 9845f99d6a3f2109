# Both drivers, asking a stand-in instead of the Ultravisor, which is not emulated.
# shellcheck shell=bash disable=SC2034

uvtest_about="drivers for the test of protected guests"
uvtest_takes="5 s"
uvtest_needs=(tree linux kernel module)

uvtest_inputs() {
	echo tools/testing/machine/tests/ultravisor
}

uvtest_make() {
	local driver
	test_module_make ultravisor ultravisor_standin
	for driver in c rust; do
		mkdir "$OUT/$driver"
	done
	cp "$(result_at kernel)/drivers/s390/crypto/vfio_ap.ko" "$OUT/c/"
	cp "$(result_at module)/vfio_ap.ko" "$OUT/rust/"
	for driver in c rust; do
		in_tree "$OUT/$driver:/out" -- s390x-linux-gnu-objcopy \
			--redefine-sym kvm_s390_pv_cpu_is_protected=standin_pv_cpu_is_protected \
			--redefine-sym uv_pin_shared=standin_pin_shared /out/vfio_ap.ko
	done
}
