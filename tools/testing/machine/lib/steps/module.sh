# The driver, built for the emulated host's kernel.
# shellcheck shell=bash disable=SC2034

module_about="module vfio_ap.ko for Linux %s"
module_takes="20 s"
module_needs=(tree linux kernel)

module_inputs() {
	echo Kbuild
	echo drivers
	echo include
}

module_make() {
	copy_module_sources "$OUT/source"
	mkdir "$OUT/build"
	kernel_module_make "$OUT/source:/module:ro" "$OUT/build:/build" -- -j"$(nproc)" modules
	mv "$OUT/build/drivers/s390/crypto/vfio_ap/vfio_ap.ko" "$OUT/vfio_ap.ko"
	remove "$OUT/build" "$OUT/source"
}

# copy_module_sources DIR: what the module is made from, and nothing that an
# earlier build in the checkout has left there.
copy_module_sources() {
	mkdir -p "$1"
	(cd "$REPO_DIR" && find Kbuild drivers include -type f \
		\( -name '*.rs' -o -name '*.[ch]' -o -name Kbuild -o -name Makefile \
		-o -name '*_parameters' \) \
		! -name '*.mod.c' ! -name '*_generated.rs' -print0 |
		tar -c --null -T -) | tar -x -C "$1"
}
