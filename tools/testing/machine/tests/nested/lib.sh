# What both levels begin with. To be sourced by bash.
# shellcheck shell=bash

. ./tap.sh

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
