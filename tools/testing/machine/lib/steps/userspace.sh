# Debian packages for s390x, unpacked: nothing of them is run here.
# shellcheck shell=bash disable=SC2034

userspace_about="Debian $DEBIAN_SUITE s390x packages"
userspace_needs=()

userspace_inputs() {
	echo tools/testing/machine/rootfs/packages
	echo "suite=$DEBIAN_SUITE"
}

userspace_make() {
	. "$MACHINE_DIR/lib/mirror.sh"
	find_mirror
	debian_tree --variant=extract --arch=s390x \
		--include="$(package_list "$MACHINE_DIR/rootfs/packages")" \
		"$DEBIAN_SUITE" "$OUT" "deb $MIRROR $DEBIAN_SUITE main"
	in_namespace rm -rf "$OUT"/usr/share/{doc,man,info,locale,lintian} \
		"$OUT"/var/{cache,lib}/apt
	# Of QEMU: what is for other machines, or for displays and sound.
	in_namespace find "$OUT/usr/share/qemu" -type f ! -name 's390-*' -delete
	in_namespace rm -rf "$OUT"/usr/lib/s390x-linux-gnu/qemu
	# Nothing is linked here but what rootfs/build links, with shared libraries.
	in_namespace find "$OUT/usr/lib/s390x-linux-gnu" -name '*.a' -delete
}
