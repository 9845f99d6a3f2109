# TAP, for tests in the emulated host and in its guests. To be sourced by bash; alarms.h of
# the selftests lies beside it.
# shellcheck shell=bash

count=0
failed=0

# result NAME STATUS [TEXT]: one test's result, and what explains a failure.
result() {
	local verdict=ok
	if (($2)); then
		verdict='not ok'
		failed=$((failed + 1))
	fi
	echo "$verdict $((++count)) $1"
	if (($2)) && [[ -n ${3:-} ]]; then
		sed 's/^/# /' <<<"$3"
	fi
}

# same NAME WANTED IS
same() {
	[[ $2 == "$3" ]]
	result "$1" $? "wanted: $2"$'\n'"is: $3"
}

# kernel_is_content NAME: this one's log is without an alarm.
kernel_is_content() {
	local alarms
	alarms=$(dmesg | grep -F -f <(sed -n 's/^"\(.*\)",$/\1/p' "${BASH_SOURCE[0]%/*}/alarms.h"))
	result "$1" "$((${#alarms} > 0))" "$alarms"
}

# end: the plan, and the exit status.
end() {
	echo "1..$count"
	((!failed))
	exit
}
