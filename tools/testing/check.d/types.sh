# Misuse of the driver's safe interfaces. To be sourced by bash, by check.
# shellcheck shell=bash disable=SC2034,SC2154

types_title="misuse of the driver's safe interfaces, which must not compile"
types_steps="tree linux kernel"

types_jobs() {
	job 15 40 types/must-not-compile -- tap_of types/must-not-compile must_not_compile
}

must_not_compile() {
	local out=$WORK/must-not-compile driver=drivers/s390/crypto/vfio_ap
	mkdir "$out" "$out/build"
	copy_module_sources "$out/source"
	kernel_module_make "$out/source:/module:ro" "$out/build:/build" -- \
		"$driver/vfio_ap_main.o" >&2
	in_kernel "$out/source:/module:ro" "$out/build:/build:ro" \
		"$REPO_DIR/tools/testing/must-not-compile:/examples:ro" -- \
		env RUSTC_BOOTSTRAP=1 VFIO_AP_OBJ="/build/$driver" /examples/run "/module/$driver" \
		"/build/$driver/.vfio_ap_main.o.cmd" /build
}
