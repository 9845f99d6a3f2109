# The emulator's source package, as Debian has it.
# shellcheck shell=bash disable=SC2034

qemusource_about="source of QEMU $QEMU_SERIES, packed"
qemusource_takes="10 s"
qemusource_needs=(tree)

qemusource_inputs() {
	echo "series=$QEMU_SERIES"
	printf 'choice=%s\n' "${QEMU_CHOICES[@]}"
}

qemusource_make() {
	take qemusource_from "${QEMU_CHOICES[@]}"
}

# qemusource_from SUITE source NAME
qemusource_from() {
	debian_file "$QEMU_SERIES" "$@"
}
