# The tools tree: a Debian system in which everything else is built, with the
# sources of the kernel and of the emulator.
# shellcheck shell=bash disable=SC2034

tree_about="Debian $DEBIAN_SUITE tree with the tools and sources"
tree_needs=()

tree_inputs() {
	echo tools/testing/machine/versions
	echo tools/testing/machine/tree
}

tree_make() {
	. "$MACHINE_DIR/lib/mirror.sh"
	find_mirror
	local preferences=$CACHE_DIR/tmp/preferences
	{
		printf 'Package: %s\n' "$(package_list "$MACHINE_DIR/tree/backports" | tr , ' ')"
		printf 'Pin: release n=%s-backports\nPin-Priority: 900\n' "$DEBIAN_SUITE"
	} >"$preferences"
	# The hooks run with the tree as $1.
	# shellcheck disable=SC2016
	debian_tree --variant=minbase \
		--include="$(package_list "$MACHINE_DIR/tree/packages"),libclang-$LIBCLANG_SERIES-dev,clang-$LIBCLANG_SERIES,$LINUX_PACKAGE" \
		--dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
		--dpkgopt='path-exclude=/usr/share/locale/*' \
		--setup-hook='mkdir -p "$1/etc/apt/preferences.d" && cp '"'$preferences'"' "$1/etc/apt/preferences.d/backports"' \
		--customize-hook='mkdir -p "$1/usr/src/qemu" && chroot "$1" sh -c '"'
			cd /usr/src/qemu && apt-get source --download-only qemu'" \
		"$DEBIAN_SUITE" "$OUT" \
		"deb $MIRROR $DEBIAN_SUITE main" "deb $MIRROR $DEBIAN_SUITE-backports main" \
		"deb-src $MIRROR $DEBIAN_SUITE main"
	if ! compgen -G "$OUT/usr/src/qemu/qemu_$QEMU_SERIES.*.dsc" >/dev/null; then
		echo "The mirror's QEMU is not of the series $QEMU_SERIES:" "$OUT"/usr/src/qemu/*.dsc
		return 1
	fi
}
