# The tools tree: a Debian system in which everything else is built.
# shellcheck shell=bash disable=SC2034

tree_about="Debian tree with the tools"
tree_takes="1 min"
tree_needs=()

tree_inputs() {
	echo tools/testing/machine/tree
	printf 'choice=%s\n' "${TREE_CHOICES[@]}"
}

tree_make() {
	take tree_from "${TREE_CHOICES[@]}"
}

# tree_from SUITE [SUITE-FOR-RUST] libclang=SERIES
tree_from() {
	local suite=$1 rust=$1 libclang preferences=$OUT.preferences sources=()
	[[ $2 == libclang=* ]] || rust=$2
	libclang=${!#}
	libclang=${libclang#libclang=}
	sources=("$(source_line deb "$suite")")
	: >"$preferences"
	if [[ $rust != "$suite" ]]; then
		sources+=("$(source_line deb "$rust")")
		{
			printf 'Package: %s\n' "$(package_list "$MACHINE_DIR/tree/backports" | tr , ' ')"
			printf 'Pin: release n=%s\nPin-Priority: 900\n' "$rust"
		} >"$preferences"
	fi
	# The hooks run with the tree as $1.
	# shellcheck disable=SC2016
	debian_tree --variant=minbase \
		--include="$(package_list "$MACHINE_DIR/tree/packages"),libclang-$libclang-dev,clang-$libclang" \
		--dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
		--dpkgopt='path-exclude=/usr/share/locale/*' \
		--setup-hook='mkdir -p "$1/etc/apt/preferences.d" && cp '"'$preferences'"' "$1/etc/apt/preferences.d/rust"' \
		--customize-hook='echo '"$libclang"' >"$1/etc/libclang-series"' \
		"$suite" "$OUT" "${sources[@]}"
	rm -f "$preferences"
}

# libclang_series: that of the tree's libclang and clang.
libclang_series() {
	cat "$(result tree)/etc/libclang-series"
}
