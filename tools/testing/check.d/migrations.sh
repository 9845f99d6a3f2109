# A Linux guest with AP that moves between hosts, so often that what goes wrong seldom does
# so here. To be sourced by bash, by check.
# shellcheck shell=bash disable=SC2034,SC2154

migrations_title="a Linux guest with AP is migrated, a hundred times, also between series"
migrations_steps="tree relay rootfs kernel emulator module migratable"

migrations_series() {
	kernels_series
}

migrations_jobs() {
	local cpus series
	steps_of migrations
	for cpus in 1 2; do
		job 15 1500 "migrations/fifty [$cpus CPU]" -- tap_of "migrations/fifty [$cpus CPU]" \
			"$MACHINE_DIR/tests/connect/ap-migrations" 50 "$cpus" "$LINUX" "$LINUX"
	done
	for series in "${OTHER_SERIES[@]}"; do
		job 15 300 "migrations/between-series [Linux $series]" -- \
			tap_of "migrations/between-series [Linux $series]" \
			"$MACHINE_DIR/tests/connect/ap-migrations" 8 1 "$LINUX" "$series"
	done
}
