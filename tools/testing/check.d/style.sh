# What can be seen without running anything. To be sourced by bash, by check.
# shellcheck shell=bash disable=SC2034,SC2154

style_title="formatting, lints and rules of the project"
style_steps="tree linux kernel emulator"

style_jobs() {
	job 10 3 style/rustfmt -- style_lint rustfmt rustfmt_check
	job 15 25 style/clippy -- style_lint clippy clippy_check
	job 10 12 style/checkpatch -- style_lint checkpatch.pl checkpatch_check
	job 10 15 style/checkpatch-programs -- style_lint checkpatch.pl checkpatch_programs_check
	job 10 8 style/checkpatch-emulator -- one style/checkpatch-emulator checkpatch_emulator_check
	job 10 8 style/shellcheck -- style_lint shellcheck shellcheck_check
	job 10 1 style/rules -- one style/rules rules_check
	job 10 1 style/imports-self-test -- one style/imports-self-test imports --self-test
	job 10 1 style/imports -- one style/imports imports drivers/s390/crypto/vfio_ap
}

# style_lint TOOL CHECK
style_lint() {
	local unit=${2%_check} version known
	case $1 in
	rustfmt | clippy) version=$(rust_version) known=$KNOWN_RUST ;;
	checkpatch.pl) version=$LINUX known=$KNOWN_CHECKPATCH ;;
	shellcheck) version=$(shellcheck_version) known=$KNOWN_SHELLCHECK ;;
	esac
	lint "style/${unit//_/-}" "$1" "$version" "$known" "$2"
}

rust_version() {
	in_tree -- rustc --version | sed 's/^rustc \([0-9.]*\).*/\1/'
}

shellcheck_version() {
	in_tree -- shellcheck --version | sed -n 's/^version: //p'
}

rust_files() {
	(cd "$REPO_DIR" && find drivers tools -name '*.rs' ! -name '*_generated.rs')
}

rustfmt_check() {
	local files
	mapfile -t files < <(rust_files)
	in_tree "$REPO_DIR:/repo:ro" "$(result_at linux):/linux:ro" -- env -C /repo rustfmt --check \
		--edition 2021 --config-path /linux/.rustfmt.toml "${files[@]}"
}

clippy_check() {
	local out=$WORK/clippy-$LINUX
	mkdir "$out" "$out/build"
	copy_module_sources "$out/source"
	kernel_module_make "$out/source:/module:ro" "$out/build:/build" -- CLIPPY=1 modules 2>&1 |
		tee "$out/log"
	# The kernel itself asks for that feature.
	! grep -E '^(warning|error)' "$out/log" |
		grep -vE 'unstable feature specified for .*backchain|warnings? emitted' >/dev/null
}

# checkpatch DIR... -- OPTION...: over our files below these directories.
checkpatch() {
	local dirs=() files
	while [[ $1 != -- ]]; do
		dirs+=("$1")
		shift
	done
	shift
	mapfile -t files < <(cd "$REPO_DIR" && find "${dirs[@]}" \
		\( -name '*.[chS]' -o -name '*.rs' \) ! -name '*.mod.c' ! -name '*_generated.rs' \
		! -path '*/plugin/*')
	in_tree "$REPO_DIR:/repo:ro" "$(result_at linux):/linux:ro" -- env -C /tmp GIT_DIR=/nonexistent \
		perl /linux/scripts/checkpatch.pl --root=/linux --strict --no-summary --terse \
		--show-types "$@" --file "${files[@]/#//repo/}" | sed 's|^/repo/||'
}

checkpatch_check() {
	checkpatch drivers include --
}

# Programs cannot have what only the kernel has, such as its attribute macros;
# and tests in the style of kselftest_harness.h have macros that return or declare.
checkpatch_programs_check() {
	checkpatch tools/testing/selftests tools/testing/bench \
		tools/testing/machine/relay tools/testing/machine/rootfs -- \
		--ignore=PREFER_DEFINED_ATTRIBUTE_MACRO,VOLATILE,EMBEDDED_FUNCTION_NAME,STRCPY \
		--ignore=MACRO_ARG_REUSE,MACRO_WITH_FLOW_CONTROL,COMPLEX_MACRO \
		--ignore=MULTISTATEMENT_MACRO_USE_DO_WHILE
}

checkpatch_emulator_check() {
	local files
	mapfile -t files < <(cd "$REPO_DIR/tools/testing" &&
		find machine/qemu/* bench/plugin -name '*.[ch]' ! -name '*.inc.c')
	in_tree "$REPO_DIR/tools/testing:/testing:ro" "$(result emulator):/emulator:ro" -- env -C /testing \
		perl /emulator/checkpatch.pl --no-tree --no-summary --terse --file "${files[@]}"
}

# What is set or used by another file, and lists for the emulator, it cannot know.
shellcheck_check() {
	local files
	mapfile -t files < <(cd "$REPO_DIR" && grep -rlE \
		'^#!/bin/(ba)?sh|^#!/bin/busybox sh|^# shellcheck shell=' tools .ci)
	in_tree "$REPO_DIR:/repo:ro" -- env -C /repo shellcheck --severity=warning \
		--exclude=SC1090,SC1091,SC2034,SC2054,SC2154 "${files[@]}"
}

# Promises that a search can keep.
rules_check() {
	local bad=0
	cd "$REPO_DIR" || return
	if grep -rnwE 'unsafe' --include='*.rs' drivers | grep -v '^drivers/s390/crypto/vfio_ap/kapi/' |
		grep -vE '^[^:]*:[0-9]*:[[:space:]]*(//|#!\[)'; then
		echo "unsafe outside kapi/"
		bad=1
	fi
	# Generated code is not ours to mend.
	if grep -rnE '#!?\[allow' --include='*.rs' --exclude=bindings.rs drivers; then
		echo "allow attributes: use expect, with a reason"
		bad=1
	fi
	if grep -rnwE 'TO''DO|FIX''ME|X''XX' --exclude=hooks.patch drivers include tools README.md Makefile Kbuild; then
		echo "unfinished"
		bad=1
	fi
	# Git counts no lines in what is not text. An archive of the project has no .git.
	if git diff --numstat "$(git hash-object -t tree /dev/null)" 2>/dev/null | grep '^-	-	'; then
		echo "not text"
		bad=1
	fi
	return $bad
}

# imports ARGUMENT: which files of the driver import which.
imports() {
	in_tree "$REPO_DIR:/repo:ro" -- env -C /repo tools/testing/imports "$1"
}
