# The documents, and their examples. To be sourced by bash, by check.
# shellcheck shell=bash disable=SC2034,SC2154

docs_title="the documents, and their examples with both drivers"
docs_steps="tree linux relay rootfs kernel emulator module sphinx"

docs_jobs() {
	local document driver
	while read -r document; do
		for driver in "${DRIVERS[@]}"; do
			document_job 10 60 docs "$document" "$driver"
		done
	done < <(documents | grep -vxF -f <(documents --tools))
	job 15 40 docs/real-machine -- tap_of docs/real-machine \
		"$REPO_DIR/tools/testing/documentation/real-machine"
	job 10 2 docs/parity -- docs_parity
	job 10 15 docs/sphinx -- docs_html sphinx html
	job 10 30 docs/rustdoc -- docs_html rustdoc rustdoc
}

# documents [OPTION]: prints the documents with examples that are for a host with that
# option. Those for 'run --tools' are replayed by the part 'tools'.
documents() {
	(cd "$REPO_DIR" && grep -rlE "^\.\. replay: ${1:+(.* )?$1( |\$)}" --include='*.rst' \
		Documentation)
}

# document_job WEIGHT SECONDS PART DOCUMENT DRIVER: replays its examples.
document_job() {
	local unit="$3/${4##*/} [$5]"
	job "$1" "$2" "$unit" -- one "$unit" "$REPO_DIR/tools/testing/documentation/replay" \
		--driver="$5" "$REPO_DIR/$4"
}

docs_parity() {
	one docs/parity "$REPO_DIR/tools/testing/documentation/parity" "$(result_at linux)"
}

# docs_html UNIT COMMAND: makes web pages, which nobody reads.
docs_html() {
	one "docs/$1" "$REPO_DIR/tools/testing/documentation/$2" "$WORK/$1"
}
