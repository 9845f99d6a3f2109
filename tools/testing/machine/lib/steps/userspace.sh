# Debian packages for s390x, unpacked: nothing of them is run here.
# shellcheck shell=bash disable=SC2034

userspace_about="Debian's s390x packages"
userspace_takes="30 s"
userspace_needs=()

userspace_inputs() {
	echo tools/testing/machine/rootfs/packages
	printf 'choice=%s\n' "${USERSPACE_CHOICES[@]}"
}

userspace_make() {
	take userspace_from "${USERSPACE_CHOICES[@]}"
	in_namespace rm -rf "$OUT"/usr/share/{doc,man,info,locale,lintian} \
		"$OUT"/var/{cache,lib}/apt
	# Of QEMU: what is for other machines, or for displays and sound.
	in_namespace find "$OUT/usr/share/qemu" -type f ! -name 's390-*' -delete
	in_namespace rm -rf "$OUT"/usr/lib/s390x-linux-gnu/qemu
	# Nothing is linked here but what rootfs/build links, with shared libraries.
	in_namespace find "$OUT/usr/lib/s390x-linux-gnu" -name '*.a' -delete
}

# userspace_from SUITE
userspace_from() {
	debian_tree --variant=extract --arch=s390x \
		--include="$(package_list "$MACHINE_DIR/rootfs/packages")" \
		"$1" "$OUT" "$(source_line deb "$1")"
}
