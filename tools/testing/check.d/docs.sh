# The documents' examples. To be sourced by bash, by check.
# shellcheck shell=bash disable=SC2034,SC2154

docs_title="the documents' examples, with both drivers"
docs_steps="tree linux relay rootfs kernel emulator module"

docs_jobs() {
	local document driver name
	while read -r document; do
		name=${document##*/}
		for driver in "${DRIVERS[@]}"; do
			job 10 60 "docs/$name [$driver]" -- one "docs/$name [$driver]" \
				"$REPO_DIR/tools/testing/documentation/replay" --driver="$driver" \
				"$REPO_DIR/$document"
		done
	done < <(cd "$REPO_DIR" && grep -rl '^\.\. replay: ' --include='*.rst' Documentation)
	job 15 40 docs/real-machine -- tap_of docs/real-machine \
		"$REPO_DIR/tools/testing/documentation/real-machine"
	job 10 2 docs/parity -- docs_parity
}

docs_parity() {
	one docs/parity "$REPO_DIR/tools/testing/documentation/parity" "$(result_at linux)"
}
