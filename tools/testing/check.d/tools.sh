# The tools that administrators use, with both drivers. To be sourced by bash, by check.
# shellcheck shell=bash disable=SC2034,SC2154

tools_title="mdevctl and s390-tools, with both drivers"
tools_steps="tree relay rootfs kernel emulator module"

tools_jobs() {
	local driver
	for driver in "${DRIVERS[@]}"; do
		job 10 25 "tools/mdevctl [$driver]" -- tools_of mdevctl "$driver"
		job 10 15 "tools/masks [$driver]" -- tools_of masks "$driver"
	done
}

# tools_of PROGRAM DRIVER OPTION...
tools_of() {
	tap_of "tools/$1 [$2]" "${RUN[@]}" --driver="$2" "${@:3}" --ap=accel:2,cca:3,ep11:10@6,7,42 \
		--share="$MACHINE_DIR/tests/tools" --timeout=3600 --no-stdin -- "./$1"
}
