# What QEMU for the emulated host is linked with: Debian's s390x libraries and their
# headers, of the suite that the emulated host's user space is from.
# shellcheck shell=bash disable=SC2034

sysroot_about="Debian's s390x libraries, to link with"
sysroot_takes="30 s"
sysroot_needs=(userspace)

sysroot_inputs() {
	echo tools/testing/machine/migratable/packages
}

# As userspace says in its .from; the choices may have the suite in another way, too.
sysroot_make() {
	local suite choice choices=()
	suite=$(sed 's/[ ,].*//; q' "$(result userspace)/.from")
	for choice in "${USERSPACE_CHOICES[@]}"; do
		[[ ${choice%% *} != "$suite" ]] || choices+=("$choice")
	done
	take sysroot_from "${choices[@]}"
	in_namespace rm -rf "$OUT"/usr/share/{doc,man,info,locale,lintian} \
		"$OUT"/var/{cache,lib}/apt
}

# sysroot_from SUITE
sysroot_from() {
	debian_tree --variant=extract --arch=s390x \
		--include="$(package_list "$MACHINE_DIR/migratable/packages")" \
		"$1" "$OUT" "$(source_line deb "$1")"
	# The libraries' linker scripts and links name /lib.
	[[ -e $OUT/lib ]] || in_namespace ln -s usr/lib "$OUT/lib"
}
