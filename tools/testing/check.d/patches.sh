# The patches for a kernel's own tree. To be sourced by bash, by check.
# shellcheck shell=bash disable=SC2034,SC2154

patches_title="the patches for a kernel's own tree apply, and checkpatch.pl is content"
patches_steps="tree linux"

patches_build_title="each of them builds, and the kernel passes the selftests and KUnit's"
patches_build_steps="tree linux relay rootfs emulator"

# The series of Linux that they are for.
readonly PATCHES_LINUX=7.3

# Whoever they are from.
readonly PATCHES_FROM="The vfio-ap in Rust authors <vfio-ap@localhost.localdomain>"

# What check style has no use for in programs either; that a patch adds files which the
# MAINTAINERS of an earlier one cover; and a list in which tests have their program's name.
readonly PATCHES_IGNORED=FILE_PATH_CHANGES
readonly PATCHES_IGNORED_IN_TESTS=VOLATILE,MACRO_ARG_REUSE,MACRO_WITH_FLOW_CONTROL,COMPLEX_MACRO,MULTISTATEMENT_MACRO_USE_DO_WHILE,REPEATED_WORD

patches_series() {
	OTHER_SERIES=("$PATCHES_LINUX")
}

patches_build_series() {
	patches_series
}

patches_jobs() {
	job 10 5 patches/apply -- one patches/apply patches_apply
	job 10 5 patches/complete -- one patches/complete patches_complete
	job 10 40 patches/checkpatch -- lint patches/checkpatch checkpatch.pl "$PATCHES_LINUX" \
		"$KNOWN_CHECKPATCH" patches_checkpatch
	job 10 5 patches/maintainers -- one patches/maintainers patches_maintainers
}

# patches_write REPOSITORY DIR: makes the patches of that copy of the project, in DIR.
patches_write() {
	local LINUX=$PATCHES_LINUX
	mkdir -p "$2"
	in_tree "$1:/repo:ro" "$(result_at linux):/linux:ro" "$2:/out" -- \
		/repo/tools/patches/write --from="$PATCHES_FROM" /linux /out
}

# patches_in_tree DIR COMMAND...: with the patches at /patches, in DIR.
patches_in_tree() {
	local LINUX=$PATCHES_LINUX dir=$1
	shift
	in_tree "$REPO_DIR:/repo:ro" "$(result_at linux):/linux:ro" "$dir:/patches:ro" \
		"$dir:/work" -- env -C /work "$@"
}

# They apply without fuzz, one after the other, and what they make is what is here.
patches_apply() {
	local dir=$WORK/patches-apply
	patches_write "$REPO_DIR" "$dir/patches" || return
	patches_in_tree "$dir" bash -euo pipefail -c '
		mkdir kernel
		cd /linux
		sed -n "s|^--- a/||p" /work/patches/*.patch | sort -u | while read -r file; do
			[[ ! -e $file ]] || cp --parents "$file" /work/kernel
		done
		cd /work/kernel
		for patch in ../patches/*.patch; do
			[[ $patch == */0000-* ]] || patch -p1 --fuzz=0 --no-backup-if-mismatch <"$patch"
		done
		! find drivers/s390/crypto/vfio_ap include -type f -exec cmp {} /repo/{} \; | grep . ||
			exit 1
		[[ -x tools/testing/selftests/vfio_ap/linux_guest.sh ]]
		grep -q "config VFIO_AP_RUST" arch/s390/Kconfig'
}

# A file that is in no patch is an error that names it; a kernel of another version is
# refused.
patches_complete() {
	local dir=$WORK/patches-complete file=drivers/s390/crypto/vfio_ap/kapi/forgotten.rs said
	mkdir -p "$dir/repo/tools/testing"
	cp -r "$REPO_DIR"/{drivers,include,Documentation} "$dir/repo/"
	cp -r "$REPO_DIR/tools/patches" "$dir/repo/tools/"
	cp -r "$REPO_DIR/tools/testing/selftests" "$dir/repo/tools/testing/"
	patches_write "$dir/repo" "$dir/out" || return
	: >"$dir/repo/$file"
	! said=$(patches_write "$dir/repo" "$dir/out" 2>&1) || return
	[[ $said == *"in no patch: $file;"* ]] || return
	rm "$dir/repo/$file"
	sed -i 's/^VERSION = .*/VERSION = ("7", "2")/' "$dir/repo/tools/patches/write"
	! said=$(patches_write "$dir/repo" "$dir/out" 2>&1) || return
	[[ $said == *"the series is for Linux 7.2"*"is Linux $PATCHES_LINUX" ]]
}

patches_checkpatch() {
	local dir=$WORK/patches-checkpatch patch ignored bad=0
	patches_write "$REPO_DIR" "$dir" || return
	for patch in "$dir"/*.patch; do
		patch=${patch##*/}
		[[ $patch != 0000-* ]] || continue
		ignored=$PATCHES_IGNORED
		[[ $patch != *-selftests-* ]] || ignored+=,$PATCHES_IGNORED_IN_TESTS
		patches_in_tree "$dir" env -C /tmp GIT_DIR=/nonexistent perl \
			/linux/scripts/checkpatch.pl --root=/linux --strict --no-summary --terse \
			--show-types --ignore="$ignored" "/patches/$patch" || bad=1
	done
	return $bad
}

# Every file that they add is somebody's.
patches_maintainers() {
	local dir=$WORK/patches-maintainers file pattern patterns bad=0
	patches_write "$REPO_DIR" "$dir" || return
	mapfile -t patterns < <(sed -n 's/^+F:\t//p' "$dir"/*.patch)
	while read -r file; do
		for pattern in "${patterns[@]}"; do
			# shellcheck disable=SC2053
			[[ $file != $pattern* ]] || continue 2
		done
		echo "MAINTAINERS has no entry for $file"
		bad=1
	done < <(sed -n 's/^ create mode [0-9]* //p' "$dir"/*.patch | sort -u)
	return $bad
}
