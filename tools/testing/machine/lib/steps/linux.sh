# The kernel's source, unpacked.
# shellcheck shell=bash disable=SC2034

linux_about="source of Linux %s, unpacked"
linux_takes="30 s"
linux_needs=(tree linuxsource)

linux_inputs() {
	:
}

linux_make() {
	in_tree "$OUT:/linux" "$(result_at linuxsource):/source:ro" -- bash -euo pipefail -c '
		if compgen -G "/source/*.orig.tar.*" >/dev/null && ! compgen -G "/source/*.dsc" >/dev/null; then
			tar -C /linux --strip-components=1 -xf /source/*.orig.tar.*
		elif compgen -G "/source/*.dsc" >/dev/null; then
			dpkg-source --no-check -x /source/*.dsc /linux/source
			find /linux/source -mindepth 1 -maxdepth 1 -exec mv -t /linux {} +
			rmdir /linux/source
		else
			dpkg-deb --fsys-tarfile /source/*.deb |
				tar -xO --wildcards "./usr/src/linux-source-*.tar.xz" |
				tar -xJ -C /linux --strip-components=1
		fi'
}
