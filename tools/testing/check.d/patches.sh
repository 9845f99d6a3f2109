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
		"$dir:/stage" -- env -C /stage "$@"
}

# They apply without fuzz, one after the other, and what they make is what is here.
patches_apply() {
	local dir=$WORK/patches-apply
	patches_write "$REPO_DIR" "$dir/patches" || return
	patches_in_tree "$dir" bash -euo pipefail -c '
		mkdir kernel
		cd /linux
		sed -n "s|^--- a/||p" /stage/patches/*.patch | sort -u | while read -r file; do
			[[ ! -e $file ]] || cp --parents "$file" /stage/kernel
		done
		cd /stage/kernel
		for patch in ../patches/*.patch; do
			[[ $patch == */0000-* ]] || patch -p1 --fuzz=0 --no-backup-if-mismatch <"$patch"
		done
		! find drivers/s390/crypto/vfio_ap include -type f -exec cmp {} /repo/{} \; | grep . ||
			exit 1
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

patches_build_jobs() {
	local cpus units=()
	for cpus in "${CPUS[@]}"; do
		units+=("$(patches_build_unit "$cpus")")
	done
	job 20 2400 patches-build/steps "${units[@]}" patches-build/kunit patches-build/kunitconfig -- \
		patches_build
}

# patches_build_unit CPUS
patches_build_unit() {
	local cpus="$1 CPUs"
	(($1 > 1)) || cpus="1 CPU"
	printf 'patches-build/kselftest [%s]' "$cpus"
}

# patches_build: in a directory of the cache.
patches_build() {
	local LINUX=$PATCHES_LINUX dir=$CACHE_DIR/work/patches cpus
	remove "$dir"
	mkdir -p "$dir"/{kernel,patches,share,kunit}
	patches_write "$REPO_DIR" "$dir/patches" >&2 || return
	cp -a "$(result_at linux)" "$dir/source"
	tap_of patches-build/steps patches_build_in "$dir" "$dir/patches:/patches:ro" -- \
		/repo/tools/patches/build-steps /repo/tools/testing/machine/kernel/config \
		/repo/tools/patches/kernel.config
	one patches-build/kunitconfig patches_kunitconfig "$dir"
	tap_of patches-build/kunit patches_kunit "$dir"
	patches_build_in "$dir" "$dir/share:/share" -- make -C /source O=/kernel ARCH=s390 \
		CROSS_COMPILE=s390x-linux-gnu- TARGETS=vfio_ap FORCE_TARGETS=1 KDIR=/kernel \
		KSFT_INSTALL_PATH=/share kselftest-install >&2 || {
		remove "$dir"
		return 1
	}
	for cpus in "${CPUS[@]}"; do
		tap_of "$(patches_build_unit "$cpus")" patches_kselftest "$dir" "$cpus"
	done
	remove "$dir"
}

# patches_build_in DIR [FROM:TO[:ro]]... -- COMMAND...: with what is built there.
patches_build_in() {
	local dir=$1
	shift
	in_tree "$REPO_DIR:/repo:ro" "$dir/source:/source" "$dir/kernel:/kernel" \
		"$(result emulator):/emulator:ro" "$@"
}

# kunit.py finds that the kernel that it is to build has all that .kunitconfig wants.
patches_kunitconfig() {
	patches_build_in "$1" "$1/kunit:/kunit" -- env -C /source tools/testing/kunit/kunit.py \
		config --arch=s390 --cross_compile=s390x-linux-gnu- --build_dir=/kunit \
		--kunitconfig=drivers/s390/crypto/vfio_ap
}

# The tests run in the kernel that was built: it has them, too.
patches_kunit() {
	patches_build_in "$1" -- env -C /source PATH="/emulator:/usr/sbin:/usr/bin:/sbin:/bin" \
		tools/testing/kunit/kunit.py exec --arch=s390 --build_dir=/kernel --timeout=600 \
		--raw_output=kunit --qemu_args="-L /usr/share/qemu" vfio_ap_model
}

# patches_kselftest DIR CPUS: the programs' results, and those of each of their tests, which
# kselftest has as comments.
patches_kselftest() {
	"${RUN[@]}" --kernel="$1/kernel" --module="$1/kernel/drivers/s390/crypto/vfio_ap/vfio_ap.ko" \
		--cpus="$2" --append=kvm.nested=1 --share="$1/share" --emulator-arg=-global \
		--emulator-arg=ap-bridge.max-domain-id=200 --timeout=7200 --no-stdin -- \
		./run_kselftest.sh 2>&1 | awk '
		/^(# )?1\.\.[0-9]+/ {
			sub(/.*\.\./, "")
			plan += $0
			next
		}
		/^# (not )?ok [0-9]/ { sub(/^# /, "") }
		{ print }
		END { print "1.." plan + 0 }'
	return "${PIPESTATUS[0]}"
}
