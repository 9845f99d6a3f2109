# A Linux guest, with QEMU. To be sourced by bash, by check.
# shellcheck shell=bash disable=SC2034,SC2154

guest_title="a Linux guest, with both drivers"
guest_steps="tree relay rootfs kernel emulator module"

guest_jobs() {
	local driver cpus
	for driver in "${DRIVERS[@]}"; do
		for cpus in "${CPUS[@]}"; do
			job 10 120 "guest/driver $(which_host "$driver" "$cpus")" -- \
				guest_of "$driver" "$cpus"
		done
		job 10 150 "guest/nested [$driver]" -- tests_of "guest/nested [$driver]" nested \
			--driver="$driver" --no-load --mem=2G --ap=accel:5@6 --timeout=7200 -- ./inside
	done
	job 10 90 guest/linux-guest -- tap_of guest/linux-guest "${RUN[@]}" --driver=c --no-stdin \
		--timeout=7200 --share="$MACHINE_DIR/tests" -- ./linux-guest
}

# guest_of DRIVER CPUS: what linux_guest.sh finds in a host with so many CPUs. With more
# than one, the guest has as many, and the tests are those in which that matters.
guest_of() {
	local driver=$1 cpus=$2 arguments=(1) share
	((cpus == 1)) || arguments=(brief "$cpus")
	share=$(mktemp -d "$WORK/guest.XXXXXX")
	cp "$REPO_DIR/tools/testing/selftests/vfio_ap/linux_guest.sh" "$ALARMS" "$share/"
	host_tap "guest/driver $(which_host "$driver" "$cpus")" "$share" --driver="$driver" \
		--cpus="$cpus" --ap=cca:4,accel:5,ep11:6,accel:7@4,6 --timeout=7200 -- \
		./linux_guest.sh "${arguments[@]}"
	rm -rf "$share"
}
