# The crates that the model's tests use.
# shellcheck shell=bash disable=SC2034

crates_about="crates of the model's tests"
crates_takes="5 s"
crates_needs=(tree)

crates_inputs() {
	echo tools/testing/vfio-ap-model/Cargo.lock
	echo tools/testing/vfio-ap-model/Cargo.toml
}

crates_make() {
	in_tree "$REPO_DIR:/repo:ro" "$OUT:/crates" -- env CARGO_HOME=/crates \
		cargo fetch --locked --manifest-path /repo/tools/testing/vfio-ap-model/Cargo.toml
}
