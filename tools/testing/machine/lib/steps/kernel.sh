# The emulated host's kernel, and what is needed to build modules for it.
# shellcheck shell=bash disable=SC2034

kernel_about="kernel of the emulated host"
kernel_needs=(tree linux)

kernel_inputs() {
	echo tools/testing/machine/kernel
}

kernel_make() {
	in_tree "$(result linux):/linux:ro" "$OUT:/kernel" "$MACHINE_DIR/kernel:/config:ro" -- \
		/config/build
	# The modules' users see who built them only if they look for it.
	remove "$OUT/.tmp_versions"
}

# in_kernel [FROM:TO[:ro]]... -- COMMAND...: in the tools tree, with the kernel.
in_kernel() {
	in_tree "$(result linux):/linux:ro" "$(result kernel):/kernel:ro" "$@"
}
