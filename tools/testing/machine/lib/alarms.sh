# What the kernel says when something went wrong in it. To be sourced by bash, after
# common.sh.
# shellcheck shell=bash

ALARMS=$REPO_DIR/tools/testing/selftests/vfio_ap/lib/alarms.h

# alarms OPTION... FILE: grep for that.
alarms() {
	grep -aF "${@:1:$#-1}" -f <(sed -n 's/^"\(.*\)",$/\1/p' "$ALARMS") "${!#}"
}
