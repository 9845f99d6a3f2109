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
		job 10 150 "guest/nested [$driver]" -- tap_of "guest/nested [$driver]" "${RUN[@]}" \
			--driver="$driver" --no-load --mem=2G --ap=accel:5@6 --timeout=7200 \
			--share="$MACHINE_DIR/tests/nested" --no-stdin -- ./inside
	done
	job 10 90 guest/linux-guest -- tap_of guest/linux-guest "${RUN[@]}" --driver=c --no-stdin \
		--timeout=7200 --share="$MACHINE_DIR/tests" -- ./linux-guest
}

# guest_of DRIVER CPUS: what linux_guest.sh finds in a host with so many CPUs. With more
# than one, the guest has as many, and the tests are those in which that matters.
guest_of() {
	local driver=$1 cpus=$2 arguments=(1) start=$EPOCHREALTIME dir status=0 why=
	((cpus == 1)) || arguments=(brief "$cpus")
	dir=$(mktemp -d "$WORK/guest.XXXXXX")
	mkdir "$dir/share"
	cp "$REPO_DIR/tools/testing/selftests/vfio_ap/linux_guest.sh" "$ALARMS" "$dir/share/"
	"${RUN[@]}" --driver="$driver" --cpus="$cpus" \
		--ap=cca:4,accel:5,ep11:6,accel:7@4,6 --share="$dir/share" --log="$dir/console" \
		--timeout=7200 --no-stdin -- \
		./linux_guest.sh "${arguments[@]}" >"$dir/output" 2>&1 </dev/null || status=$?
	if alarms -q "$dir/console"; then
		why="the host's kernel complained; its log is above"
		alarms -A 20 "$dir/console" | head -n 40 >>"$dir/output"
	fi
	report_tap "guest/driver $(which_host "$driver" "$cpus")" "$status" "$(since "$start")" \
		"$dir/output" "$why"
	rm -rf "$dir"
}
