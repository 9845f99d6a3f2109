# A Debian system with Sphinx, which makes web pages of the documentation, and help2man,
# which makes a manual page.
# shellcheck shell=bash disable=SC2034

sphinx_about="Debian tree with Sphinx and help2man"
sphinx_takes="30 s"
sphinx_needs=()

sphinx_inputs() {
	printf 'choice=%s\n' "${TREE_CHOICES[@]}"
}

sphinx_make() {
	take sphinx_from "${TREE_CHOICES[@]}"
}

# sphinx_from SUITE...
sphinx_from() {
	debian_tree --variant=minbase --include=python3-sphinx,help2man \
		--dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
		--dpkgopt='path-exclude=/usr/share/locale/*' \
		"$1" "$OUT" "$(source_line deb "$1")"
}
