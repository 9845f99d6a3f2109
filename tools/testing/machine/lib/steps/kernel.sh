# The emulated host's kernel, and what is needed to build modules for it.
#
# Its usual configuration is kernel/config. $CONFIGURATION adds fragments to that:
# NAME stands for kernel/NAME.config, 'own' for the file $KERNEL_CONFIG of the
# user's, and NAME+own for both.
# shellcheck shell=bash disable=SC2034

kernel_about="kernel of the emulated host, Linux %s"
kernel_takes="6 min"
kernel_needs=(tree linux)

# kernel_fragments: prints the files of the configuration.
kernel_fragments() {
	local name
	printf '%s\n' "$MACHINE_DIR/kernel/config"
	for name in ${CONFIGURATION//+/ }; do
		case $name in
		own) printf '%s\n' "$KERNEL_CONFIG" ;;
		*) printf '%s\n' "$MACHINE_DIR/kernel/$name.config" ;;
		esac
	done
}

kernel_inputs() {
	local fragment
	echo tools/testing/machine/kernel/build
	kernel_fragments | while read -r fragment; do
		# By content: where a file of the user's lies does not matter.
		printf 'fragment=%s\n' "$(sha256sum <"$fragment")"
	done
}

kernel_make() {
	local fragments fragment names=()
	mapfile -t fragments < <(kernel_fragments)
	mkdir "$OUT/fragments"
	for fragment in "${fragments[@]}"; do
		names+=("${#names[@]}-${fragment##*/}")
		cp -- "$fragment" "$OUT/fragments/${names[-1]}"
	done
	in_tree "$(result_at linux):/linux:ro" "$OUT:/kernel" "$MACHINE_DIR/kernel:/config:ro" -- \
		env CLANG="clang-$(libclang_series)" /config/build "${names[@]}"
	# The modules' users see who built them only if they look for it.
	remove "$OUT/.tmp_versions"
}

# in_kernel [FROM:TO[:ro]]... -- COMMAND...: in the tools tree, with the kernel
# of the flavour.
in_kernel() {
	in_tree "$(result_at linux):/linux:ro" "$(result_at kernel):/kernel:ro" "$@"
}

# kernel_module_make [FROM:TO[:ro]]... -- ARGUMENT...: make in the kernel's build
# tree, with what it was made with, for the module at /module, built at /build.
kernel_module_make() {
	local mounts=() compiler=()
	while [[ $1 != -- ]]; do
		mounts+=("$1")
		shift
	done
	shift
	! grep -qx 'CONFIG_CC_IS_CLANG=y' "$(result_at kernel)/.config" ||
		compiler=(CC="clang-$(libclang_series)")
	in_kernel "${mounts[@]}" -- make -C /linux O=/kernel M=/module MO=/build ARCH=s390 \
		CROSS_COMPILE=s390x-linux-gnu- "${compiler[@]}" "$@"
}
