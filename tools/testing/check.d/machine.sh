# The emulated host. To be sourced by bash, by check.
# shellcheck shell=bash disable=SC2034,SC2154

machine_title="the emulated host"
machine_steps="tree relay rootfs kernel emulator module aptest sietest"

machine_jobs() {
	local feature sie
	job 10 60 machine/run -- tap_of machine/run "$MACHINE_DIR/tests/run"
	job 10 10 machine/replies -- tap_of machine/replies in_tree "$MACHINE_DIR/qemu:/qemu:ro" \
		"$MACHINE_DIR/tests/message:/test:ro" -- /test/run 50000
	ap_instructions machine/ap accel:1,cca:2,ep11:3@5,6 --cpus=2 --
	ap_instructions machine/ap-message-memory accel:1,cca:2,ep11:3@5,6 \
		--emulator-arg=-global --emulator-arg=ap-bridge.message-memory=65536 -- \
		message_memory=65536
	for feature in apqci apft apqi; do
		ap_instructions "machine/ap-without-$feature" accel:1@5 --emulator-arg=-cpu \
			"--emulator-arg=max,$feature=off" -- facilities_only=1
	done
	ap_instructions machine/ap-without-apxa accel:1@5 --emulator-arg=-global \
		--emulator-arg=ap-bridge.apxa=off -- facilities_only=1
	ap_instructions machine/no-ap none -- facilities_only=1
	host_test machine/sie sietest --ap=accel:1,cca:2@5,6 --cpus=2 -- ./inside
	host_test machine/sie-cpu-reset sietest --cpus=2 -- ./inside reset=1
	job 10 8 machine/sie-and-monitor -- in_share sietest machine/sie-and-monitor \
		"$MACHINE_DIR/tests/monitor"
	host_test machine/large-pages "$MACHINE_DIR/tests/hugepages" --mem=7G -- ./inside
	host_test machine/configuring "$MACHINE_DIR/tests/configure" --ap=cca:4,accel:5@4,6 -- ./inside
	job 10 30 machine/snapshots -- in_share sietest machine/snapshots \
		"$MACHINE_DIR/tests/migration/run"
	job 10 60 machine/snapshots-with-guest -- tap_of machine/snapshots-with-guest \
		"$MACHINE_DIR/tests/migration/run" --linux-guest
	job 15 60 machine/connected-hosts -- tap_of machine/connected-hosts \
		"$MACHINE_DIR/tests/connect/run"
	job 15 60 machine/guest-moves -- tap_of machine/guest-moves \
		"$MACHINE_DIR/tests/connect/migration"
	job 10 30 machine/cpu-models -- tap_of machine/cpu-models "${RUN[@]}" \
		--ap=cca:4,accel:5@4,6,71 --share "$MACHINE_DIR/tests/cpumodel" --timeout=7200 \
		--no-stdin -- ./inside
}

# in_share STEP UNIT COMMAND...: with that step's result as its last argument.
in_share() {
	tap_of "$2" "${@:3}" "$(result_at "$1")"
}

# host_test UNIT SHARE OPTION... -- COMMAND...: in a host without a driver. SHARE is a
# directory, or a step of the set-up.
host_test() {
	job 10 20 "$1" -- run_host_test "$@"
}

run_host_test() {
	local unit=$1 share=$2 options=()
	[[ $share == /* ]] || share=$(result_at "$share")
	shift 2
	while [[ $1 != -- ]]; do
		options+=("$1")
		shift
	done
	tap_of "$unit" "${RUN[@]}" --driver=none "${options[@]}" --no-stdin --timeout=3600 \
		--share "$share" "$@"
}

# ap_instructions UNIT AP OPTION... -- PARAMETER...
ap_instructions() {
	local unit=$1 options=("--ap=$2")
	shift 2
	while [[ $1 != -- ]]; do
		options+=("$1")
		shift
	done
	shift
	host_test "$unit" aptest "${options[@]}" -- ./inside "$@"
}
