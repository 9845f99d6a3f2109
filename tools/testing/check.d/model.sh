# The model, natively. To be sourced by bash, by check.
# shellcheck shell=bash disable=SC2034,SC2154

model_title="the model, natively"
model_steps="tree crates"

model_jobs() {
	job 15 25 model/tests -- model_tests
	job 15 10 model/clippy -- model_clippy
}

cargo_in_tree() {
	local target old
	# Cargo goes by the times of files: what was built from another directory may be newer
	# than those of this one.
	target=$CACHE_DIR/work/model-${STEP_KEY[tree]}-$(cksum <<<"$REPO_DIR" | cut -d ' ' -f 1)
	for old in "$CACHE_DIR"/work/model-*; do
		[[ $old == "$target" || ! -e $old ]] || remove "$old"
	done
	mkdir -p "$target"
	in_tree "$REPO_DIR:/repo:ro" "$(result crates):/crates:ro" "$target:/target" -- \
		env -C /repo/tools/testing/vfio-ap-model CARGO_HOME=/crates \
		CARGO_TARGET_DIR=/target CARGO_TERM_COLOR=never cargo "$@"
}

model_tests() {
	local start=$EPOCHREALTIME status=0 log=$WORK/model.log passed failed
	cargo_in_tree test --offline --locked >"$log" 2>&1 </dev/null || status=$?
	read -r passed failed < <(sed -n \
		's/^test result: .* \([0-9]*\) passed; \([0-9]*\) failed;.*/\1 \2/p' "$log" |
		awk '{ p += $1; f += $2 } END { print p + 0, f + 0 }')
	if ((status && !failed)) || ((!passed && !failed)); then
		failed=1
	fi
	report model/tests "$passed" "$failed" 0 0 "$(since "$start")" "$log"
}

model_clippy() {
	lint model/clippy clippy "$(rust_version)" "$KNOWN_RUST" cargo_in_tree clippy --offline \
		--locked --all-targets -- -D warnings
}
