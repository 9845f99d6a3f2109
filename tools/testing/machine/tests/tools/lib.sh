# What the tests of administrators' tools have in common. To be sourced by bash, in the
# emulated host.
# shellcheck shell=bash

readonly BUS=/sys/bus/ap
readonly MATRIX=/sys/devices/vfio_ap/matrix
# In seconds. Only a hang takes that long, however busy the machine is.
readonly LIMIT=600

. "${0%/*}/tap.sh"
work=$(mktemp -d)
trap 'rm -rf -- "$work"' EXIT

# succeeds NAME COMMAND...: what the command says is left in $said.
succeeds() {
	local name=$1 status=0
	shift
	said=$("$@" 2>&1) || status=$?
	result "$name" "$status" "$said"$'\n'"status $status: $*"
}

# fails NAME TEXT COMMAND...: the command fails, and says TEXT.
fails() {
	local name=$1 text=$2 status=0
	shift 2
	said=$("$@" 2>&1) || status=$?
	((status)) && [[ $said == *"$text"* ]]
	result "$name" $? "$said"$'\n'"status $status, wanted a failure with '$text': $*"
}

# soon COMMAND...: retries until it succeeds.
soon() {
	local end=$((SECONDS + LIMIT))
	until "$@" >/dev/null 2>&1; do
		((SECONDS < end)) || return 1
		sleep 0.1
	done
}

# settled: the bus has bound every queue that has a driver.
settled() {
	[[ $(<"$BUS/bindings") == *complete* ]]
}

# matrix UUID: the queues that are assigned, in one line.
matrix() {
	paste -s -d ' ' "$MATRIX/$1/matrix" 2>/dev/null || echo "no device"
}

# devices: the names of the mediated devices, in one line.
devices() {
	find "$MATRIX" -mindepth 1 -maxdepth 1 -name '????????-*' -printf '%f\n' | sort |
		paste -s -d ' '
}

# driver_of APQN
driver_of() {
	local link
	link=$(readlink "$BUS/devices/$1/driver") && echo "${link##*/}"
}

# uuid NUMBER
uuid() {
	printf 'b7f44d5e-5e0a-4c0e-9a7f-%012x' "$1"
}

# start_udev: with a log, without which mdevctl's rule does not work. The rule calls
# /usr/sbin/mdevctl, and Debian may have it in /usr/bin.
start_udev() {
	[[ -e /usr/sbin/mdevctl ]] || ln -s ../bin/mdevctl /usr/sbin/mdevctl
	busybox syslogd
	soon [ -S /dev/log ]
	/usr/lib/systemd/systemd-udevd --daemon 2>/dev/null
}

# install_callout: by which mdevctl can change a device that is there.
install_callout() {
	mkdir -p /usr/lib/mdevctl/scripts.d/callouts
	cp "${0%/*}/live-callout" /usr/lib/mdevctl/scripts.d/callouts/
}
