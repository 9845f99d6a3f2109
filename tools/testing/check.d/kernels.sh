# The driver on the other series of Linux that it is made for: the same source builds for
# them without a warning, and does what it is for. To be sourced by bash, by check.
# shellcheck shell=bash disable=SC2034,SC2154

kernels_title="the driver on the other series of Linux, with some of the selftests"
kernels_steps="tree linux relay rootfs kernel emulator module selftests testmodules"

readonly KERNELS_TESTS=(path aqic attributes hotplug)

# An old series vanishes from the mirrors some day, and that is no reason to test nothing.
kernels_series() {
	local series step
	OTHER_SERIES=() GONE_SERIES=()
	find_cache
	for series in "${LINUX_SERIES[@]}"; do
		[[ $series != "$MAIN_LINUX" ]] || continue
		step=$(LINUX=$series step_at linuxsource)
		step_key "$step"
		if [[ -n $LIST || -d $(result "$step") ]] || "$MACHINE_DIR/setup" "$step"; then
			OTHER_SERIES+=("$series")
		else
			GONE_SERIES+=("$series")
		fi
	done
}

kernels_jobs() {
	local LINUX driver
	for LINUX in "${GONE_SERIES[@]}"; do
		job 1 0 "kernels/source [Linux $LINUX]" -- record note "kernels/source [Linux $LINUX]" \
			0 0 0 0 0 "not tested: its source cannot be had"
	done
	for LINUX in "${OTHER_SERIES[@]}"; do
		job 15 25 "kernels/warnings [Linux $LINUX]" -- kernels_warnings "$LINUX"
		for driver in "${DRIVERS[@]}"; do
			selftest_jobs kernels "$driver" 1 "${KERNELS_TESTS[@]}"
		done
	done
}

# kernels_warnings SERIES
kernels_warnings() {
	local LINUX=$1
	lint "kernels/warnings [Linux $LINUX]" clippy "$(rust_version)" "$KNOWN_RUST" clippy_check
}
