# The kernel's source, as Debian has it: a package or a source package.
# shellcheck shell=bash disable=SC2034

linuxsource_about="source of Linux %s, packed"
linuxsource_takes="10 s"
linuxsource_needs=(tree)

linuxsource_inputs() {
	local -n choices=LINUX_${LINUX/./_}_CHOICES
	printf 'choice=%s\n' "${choices[@]}"
}

linuxsource_make() {
	local -n choices=LINUX_${LINUX/./_}_CHOICES
	take linuxsource_from "${choices[@]}"
}

# linuxsource_from SUITE package|source NAME
linuxsource_from() {
	debian_file "$LINUX" "$@"
}
