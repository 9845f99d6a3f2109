# What both levels begin with. To be sourced by bash.
# shellcheck shell=bash

count=0
failed=0

# same NAME WANTED IS
same() {
	count=$((count + 1))
	if [[ $2 == "$3" ]]; then
		echo "ok $count $1"
	else
		echo "not ok $count $1"
		printf '# wanted: %s\n# is: %s\n' "$2" "$3"
		failed=1
	fi
}

# passed_through: gives the queue to vfio_ap, and prints the directory of a mediated device
# with it.
passed_through() {
	local uuid devices=/sys/devices/vfio_ap/matrix
	uuid=$(uuidgen)
	until [[ -e /sys/bus/ap/devices/05.0006/driver_override ]]; do
		sleep 0.1
	done
	echo vfio_ap >/sys/bus/ap/devices/05.0006/driver_override
	echo 05.0006 >/sys/bus/ap/devices/05.0006/driver/unbind
	echo 05.0006 >/sys/bus/ap/drivers_probe
	echo "$uuid" >$devices/mdev_supported_types/vfio_ap-passthrough/create
	echo 5 >"$devices/$uuid/assign_adapter"
	echo 6 >"$devices/$uuid/assign_domain"
	echo "$devices/$uuid"
}

# complaints: what the kernel has to say that it should not.
complaints() {
	dmesg | grep -E "WARNING|BUG|Oops|Call Trace" | head -n 5
}

finish() {
	echo "1..$count"
	((!failed))
	exit
}
