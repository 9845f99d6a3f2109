# The set-up's dealings with mirrors. To be sourced by bash, by check.
# shellcheck shell=bash disable=SC2034,SC2154

setup_title="the set-up's dealings with mirrors"
setup_steps="tree"

setup_jobs() {
	job 10 40 setup/mirrors -- tap_of setup/mirrors "$MACHINE_DIR/tests/mirror/run"
}
