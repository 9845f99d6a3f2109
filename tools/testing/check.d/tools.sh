# The tools that administrators use, with both drivers. To be sourced by bash, by check.
# shellcheck shell=bash disable=SC2034,SC2154

tools_title="mdevctl, s390-tools and libvirt, with both drivers"
tools_steps="tree relay rootfs kernel emulator module"

tools_jobs() {
	local driver document documents needed=
	mapfile -t documents < <(documents --tools)
	for driver in "${DRIVERS[@]}"; do
		job 10 25 "tools/mdevctl [$driver]" -- tools_of mdevctl "$driver"
		job 10 20 "tools/masks [$driver]" -- tools_of masks "$driver"
		job 15 25 "tools/qemu [$driver]" -- tools_of qemu "$driver" --cpus=2
	done
	for document in libvirt "${documents[@]##*/}"; do
		! wanted "tools/$document" || needed=1
	done
	[[ -n $needed ]] || return 0
	if ! have_libvirt; then
		job 1 0 tools/libvirt -- record note tools/libvirt 0 0 0 0 0 \
			"not tested: its packages cannot be had"
		return
	fi
	STEPS+=(toolsrootfs)
	# The second CPU is for QEMU, beside the guest that it runs.
	for driver in "${DRIVERS[@]}"; do
		job 15 70 "tools/libvirt [$driver]" -- tools_of libvirt "$driver" --tools --cpus=2
		for document in "${documents[@]}"; do
			document_job 15 60 tools "$document" "$driver"
		done
	done
}

# have_libvirt: its packages are there, or can be had. A mirror that has not all of them is
# no reason to test nothing; what is made of them has to be made, as everything else.
have_libvirt() {
	find_cache
	step_key toolsuserspace
	[[ -n $LIST || -d $(result toolsuserspace) ]] || "$MACHINE_DIR/setup" toolsuserspace
}

# tools_of PROGRAM DRIVER OPTION...
tools_of() {
	tests_of "tools/$1 [$2]" tools --driver="$2" "${@:3}" --ap=accel:2,cca:3,ep11:10@6,7,42 \
		--timeout=3600 -- "./$1"
}
