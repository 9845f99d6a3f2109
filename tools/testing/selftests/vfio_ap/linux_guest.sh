#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# A Linux guest in QEMU uses a mediated device: its AP bus shows exactly what is
# assigned, with interrupts; RSA on it is right; and both go on when the
# administrator, or the hardware, changes something meanwhile.
#
#   linux_guest.sh [brief] [CPUS-OF-THE-GUEST]
#
# brief: without what an administrator, or the hardware, changes meanwhile.
#
# Needs linux-guest, its session.sh and zcrypt-rsa, which the emulated host has
# (tools/testing/machine/rootfs). Takes all queues from the host's own drivers,
# and gives them back at the end. Tests of hardware events need aphw.

set -uo pipefail

brief=
if [[ ${1:-} == brief ]]; then
	brief=1
	shift
fi
readonly CPUS=${1:-1}
readonly SESSION=${LINUX_GUEST_SESSION:-/usr/lib/machine/lib/session.sh}
readonly BUS=/sys/bus/ap
readonly MATRIX=/sys/devices/vfio_ap/matrix
UUID=6c1f0a5e-0000-4000-8000-$(printf %012x $$)
readonly UUID
readonly MDEV=$MATRIX/$UUID
# In seconds. Only a hang takes that long, however busy the machine is.
readonly LIMIT=$((300 * ${VFIO_AP_TIMEOUT_FACTOR:-1}))
HERE=$(dirname "$0")
ALARMS=$(cat "$HERE/alarms.h" "$HERE/lib/alarms.h" 2>/dev/null |
	sed -n 's/^"\(.*\)",$/\1/p')

count=0
failed=0
have_aphw=
command -v aphw >/dev/null && aphw list >/dev/null 2>&1 && have_aphw=1

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

# succeeds NAME COMMAND...: its output is shown if it fails.
succeeds() {
	local name=$1 output status=0
	shift
	output=$("$@" 2>&1) || status=$?
	result "$name" "$status" "$output"$'\n'"status $status: $*"
}

skip() {
	echo "ok $((++count)) $1 # SKIP $2"
}

# soon COMMAND...: retries until it succeeds; shows the last attempt's output.
soon() {
	local output end=$((SECONDS + LIMIT))
	until output=$("$@" 2>&1); do
		if ((SECONDS >= end)); then
			echo "$output"
			return 1
		fi
		sleep 0.1
	done
}

# The host's side.

skip_all() {
	echo "1..0 # SKIP $1"
	exit 4
}

settled() {
	[[ $(<"$BUS/bindings") == *complete* ]]
}

# host_has APQN...: vfio_ap has passed exactly these on.
host_has() {
	local is
	# Without a domain, the adapters' lines end with the dot.
	is=$(sed '/\.$/d' "$MDEV/guest_matrix" | paste -s -d ' ')
	[[ $is == "$*" ]] || {
		echo "guest_matrix: $is"
		return 1
	}
}

# of_type LETTER: the host's adapters of that mode, as 04.
of_type() {
	local card type
	for card in "$BUS"/devices/card??; do
		read -r type <"$card/type"
		[[ $type != CEX?"$1" ]] || echo "${card##*/card}"
	done
}

card_is() {
	local is
	is=$(<"$BUS/devices/card$1/$2")
	[[ $is == "$3" ]] || {
		echo "card$1/$2: $is"
		return 1
	}
}

no_card() {
	[[ ! -e $BUS/devices/card$1 ]]
}

clean_up() {
	local status=$?
	trap - EXIT
	[[ -z ${GUEST_PROCESS:-} ]] || {
		kill "$GUEST_PROCESS" 2>/dev/null
		wait "$GUEST_PROCESS" 2>/dev/null
	}
	[[ ! -e $MDEV ]] || echo 1 >"$MDEV/remove"
	[[ -z ${apmask:-} ]] || echo "$apmask" >"$BUS/apmask"
	[[ -z ${work:-} ]] || rm -rf -- "$work"
	exit "$status"
}

# What the guest's shell knows. Builtins only, where they are repeated.
readonly GUEST_FUNCTIONS='
LIMIT='$LIMIT'
scan() {
	echo 1 >/sys/bus/ap/scans
}
state() {
	local q text
	state=
	for q in /sys/bus/ap/devices/??.????; do
		[[ -e $q ]] || continue
		state+=" ${q##*/}"
		read -r text <$q/interrupt
		[[ $text == "Interrupts enabled." ]] || state+="($text)"
		read -r text <$q/online
		[[ $text == 1 ]] || state+="(offline)"
	done
	state=${state# }
}
has() {
	local end=$((SECONDS + LIMIT))
	while ((SECONDS < end)); do
		scan
		state
		[[ $state != "$*" ]] || return 0
		sleep 0.1
	done
	echo "has: $state"
	return 1
}
card_is() {
	local is end=$((SECONDS + LIMIT))
	while ((SECONDS < end)); do
		scan
		read -r is </sys/bus/ap/devices/card$1/$2
		[[ $is != "$3" ]] || return 0
		sleep 0.1
	done
	echo "card$1/$2: $is"
	return 1
}
rsa_fails() {
	local end=$((SECONDS + LIMIT))
	while ((SECONDS < end)); do
		zcrypt-rsa --queue $1 --bits 512 --count 1 || return 0
		sleep 0.2
	done
	return 1
}
load() {
	zcrypt-rsa --queue $1 --bits 512 --count 1 --seconds 1000000 --pause 50 >/tmp/load 2>&1 &
	load=$!
	# The queue is in use once it has answered.
	until grep -q right /tmp/load; do
		kill -0 $load 2>/dev/null || { cat /tmp/load; return 1; }
		sleep 0.1
	done
}
load_ends() {
	kill $load
	wait $load && return
	tail /tmp/load
	return 1
}
load_fails() {
	local end=$((SECONDS + LIMIT))
	while ((SECONDS < end)) && kill -0 $load 2>/dev/null; do
		sleep 0.1
	done
	! kill $load 2>/dev/null && ! wait $load && ! grep -q WRONG /tmp/load &&
		grep -qE "failed: (No such device|Input/output error)$" /tmp/load && return
	tail /tmp/load
	return 1
}'

# rsa APQN [OPTION...]
rsa() {
	guest "zcrypt-rsa --quiet --queue $*"
}

small() {
	rsa "$1" --bits 1024 --count 2
}

# works_again NAME QUEUE: RSA on a queue that the guest has been given while resets and
# interrupt control were slow. The C driver passes it before the host's AP bus is done
# with it. If that enables the host's interrupts last, they stay on, the guest's requests
# are answered to the host, and the guest waits for 15 minutes.
works_again() {
	local output status=0
	if [[ ${VFIO_AP_DRIVER:-} != c ]]; then
		succeeds "$1" small "$2"
		return
	fi
	output=$(guest "timeout $((LIMIT / 5)) zcrypt-rsa --quiet --queue $2 \
		--bits 1024 --count 2" 2>&1) || status=$?
	if ((status == 124)); then
		echo "ok $((++count)) $1 # XFAIL C driver: leaves the host's interrupts on"
	else
		result "$1" "$status" "$output"
	fi
}

set_up() {
	local type
	[[ $EUID == 0 ]] || skip_all "needs root"
	[[ -e $SESSION ]] || skip_all "needs linux-guest, which the emulated host has"
	for type in linux-guest zcrypt-rsa lszcrypt; do
		command -v $type >/dev/null || skip_all "needs $type"
	done
	[[ -d $MATRIX ]] || skip_all "vfio_ap is not loaded"
	. "$SESSION"
	work=$(mktemp -d)
	trap clean_up EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM
	soon settled || skip_all "the AP bus does not come to rest"
	mapfile -t accelerators < <(of_type A)
	mapfile -t cca < <(of_type C)
	mapfile -t ep11 < <(of_type P)
	((${#accelerators[@]} >= 2)) || skip_all "needs two accelerators"
	mapfile -t domains < <(cd "$BUS/devices" && ls -d "${accelerators[0]}".???? | cut -d . -f 2)
	((${#domains[@]} >= 2)) || skip_all "needs two usage domains"
	apmask=$(<"$BUS/apmask")
	echo 0x0 >"$BUS/apmask" || skip_all "the host's drivers keep their adapters"
	soon settled || skip_all "the AP bus does not come to rest"
	echo "$UUID" >"$MATRIX/mdev_supported_types/vfio_ap-passthrough/create" ||
		skip_all "no mediated device can be made"
}

# assign ATTRIBUTE NUMBER-IN-HEX...
assign() {
	local attribute=$1 number
	shift
	for number; do
		echo "0x$number" >"$MDEV/$attribute" || return
	done
}

# Sets $first and $second, one accelerator's and another's, and $d and $e, the
# domains; and $queues, what the guest begins with.
test_boot() {
	local adapter
	first=${accelerators[0]} second=${accelerators[1]}
	d=${domains[0]} e=${domains[1]}
	adapters=("$first" ${cca[0]:+"${cca[0]}"} ${ep11[0]:+"${ep11[0]}"})
	mapfile -t adapters < <(printf '%s\n' "${adapters[@]}" | sort)
	queues=$(printf '%s\n' "${adapters[@]/%/.$d}" | paste -s -d ' ')
	assign assign_adapter "${adapters[@]}"
	assign assign_domain "$d"
	assign assign_control_domain "$d"
	succeeds "host: the assigned queues can be passed on" soon host_has $queues
	guest_start --mdev "$UUID" --cpus "$CPUS" --log "$work/log" --watchdog "$LIMIT" \
		2>"$work/errors"
	result "a guest with $CPUS CPUs boots" $? "$(tail -n 40 "$work/errors" "$work/log")"
	guest "$GUEST_FUNCTIONS"
	same "guest: it has $CPUS CPUs" "$CPUS" "$(guest nproc)"
}

# mask BIT-IN-HEX...: as the AP bus shows it.
mask() {
	local bytes=() i bit
	for ((i = 0; i < 32; i++)); do
		bytes[i]=0
	done
	for bit; do
		bit=$((16#$bit))
		((bytes[bit / 8] |= 0x80 >> bit % 8))
	done
	printf 0x
	printf '%02x' "${bytes[@]}"
}

test_bus() {
	local type names=()
	succeeds "guest: exactly the assigned queues, with interrupts, online" guest "has $queues"
	same "guest: interrupts are on" 1 "$(guest "cat $BUS/ap_interrupts")"
	same "guest: mask of adapters" "$(mask "${adapters[@]}")" \
		"$(guest "cat $BUS/ap_adapter_mask")"
	same "guest: mask of usage domains" "$(mask "$d")" \
		"$(guest "cat $BUS/ap_usage_domain_mask")"
	same "guest: mask of control domains" "$(mask "$d")" \
		"$(guest "cat $BUS/ap_control_domain_mask")"
	for type in "${adapters[@]}"; do
		names+=("$type:$(<"$BUS/devices/card$type/type"):online")
		names+=("$type.$d:$(<"$BUS/devices/card$type/type"):online")
	done
	same "guest: lszcrypt -V shows the same, with the host's types" "${names[*]}" \
		"$(guest "lszcrypt -V" | awk 'NR > 2 { print $1 ":" $2 ":" $4 }' | paste -s -d ' ')"
}

adapter_interrupts() {
	guest "cat /proc/interrupts" | awk '
		$1 == "APB:" { for (i = 2; $i ~ /^[0-9]+$/; i++) n += $i }
		END { print n + 0 }'
}

test_rsa() {
	local before after
	before=$(adapter_interrupts)
	succeeds "guest: RSA of all lengths, accelerator" rsa "$first.$d" --count 1
	after=$(adapter_interrupts)
	((after > before))
	result "guest: interrupts brought the replies" $? "before: $before, after: $after"
	succeeds "guest: malformed requests, accelerator" rsa "$first.$d" --malformed --bits 512
	if [[ -n ${cca[0]:-} ]]; then
		succeeds "guest: RSA of all lengths, CCA" rsa "${cca[0]}.$d" --count 1
		succeeds "guest: malformed requests, CCA" rsa "${cca[0]}.$d" --malformed --bits 512
	else
		skip "RSA of all lengths, CCA" "no CCA coprocessor"
		skip "malformed requests, CCA" "no CCA coprocessor"
	fi
	succeeds "guest: all queues are still online" guest "has $queues"
}

# with DOMAIN...: all adapters' queues in these domains.
with() {
	local adapter domain
	for adapter in "${adapters[@]}"; do
		for domain; do
			echo "$adapter.$domain"
		done
	done | paste -s -d ' '
}

test_administrator() {
	local both
	both=$(with "$d" "$e")
	succeeds "guest: a user computes" guest "load $first.$d"
	succeeds "one more domain, while the guest computes" assign assign_domain "$e"
	succeeds "host: one more domain" soon host_has $both
	succeeds "guest: one more domain" guest "has $both"
	succeeds "guest: RSA in the new domain" small "$first.$e"
	succeeds "without that domain again" assign unassign_domain "$e"
	succeeds "guest: without that domain" guest "has $queues"
	succeeds "guest: RSA was right all the time" guest load_ends

	succeeds "guest: a user computes" guest "load $first.$d"
	succeeds "one more adapter" assign assign_adapter "$second"
	adapters+=("$second")
	mapfile -t adapters < <(printf '%s\n' "${adapters[@]}" | sort)
	succeeds "guest: one more adapter" guest "has $(with "$d")"
	succeeds "guest: RSA on the new adapter" small "$second.$d"
	succeeds "guest: RSA was right meanwhile" guest load_ends
	succeeds "guest: a user computes on the new adapter" guest "load $second.$d"
	succeeds "unassigned while in use" assign unassign_adapter "$second"
	adapters=("${adapters[@]/#$second/}")
	mapfile -t adapters < <(printf '%s\n' "${adapters[@]}" | grep .)
	succeeds "guest: without that adapter" guest "has $queues"
	# With QEMU 11.1, the guest is notified, and rescans as soon as the adapter is
	# unassigned; with 10.0, it rescans only when it is told to, as above. What the user
	# gets depends on which comes first: a rescan (there is no such adapter any more,
	# ENODEV), or ten attempts to send the request to an adapter that is gone (EIO).
	succeeds "guest: its user is told" guest load_fails
	succeeds "guest: RSA on the first adapter still" small "$first.$d"
	succeeds "assigned again" assign assign_adapter "$second"
	adapters+=("$second")
	mapfile -t adapters < <(printf '%s\n' "${adapters[@]}" | sort)
	queues=$(with "$d")
	succeeds "guest: the adapter is back" guest "has $queues"
	succeeds "guest: RSA on it again" small "$second.$d"
}

test_hardware() {
	local name=$((16#$second)) queue=$second.$d rest
	if [[ -z $have_aphw ]]; then
		skip "hardware events" "needs aphw, the emulated host's tool"
		return
	fi
	rest=$(tr ' ' '\n' <<<"$queues" | grep -v "^$second" | paste -s -d ' ')
	succeeds "guest: a user computes on the first adapter" guest "load $first.$d"

	succeeds "the adapter is deconfigured" aphw -s adapter $name deconfigure
	succeeds "host: it is deconfigured" soon card_is "$second" config 0
	succeeds "guest: it is deconfigured" guest "card_is $second config 0"
	succeeds "guest: RSA on it fails" guest "rsa_fails $queue"
	succeeds "it is configured again" aphw -s adapter $name configure
	succeeds "host: it is configured" soon card_is "$second" config 1
	succeeds "guest: it is configured" guest "card_is $second config 1; has $queues"
	succeeds "guest: RSA on it again" small "$queue"

	succeeds "the adapter is checkstopped" aphw -s adapter $name checkstop
	succeeds "host: it is checkstopped" soon card_is "$second" chkstop 1
	succeeds "guest: it is checkstopped" guest "card_is $second chkstop 1"
	succeeds "guest: RSA on it fails" guest "rsa_fails $queue"
	succeeds "it recovers" aphw -s adapter $name recover
	succeeds "host: it has recovered" soon card_is "$second" chkstop 0
	succeeds "guest: it has recovered" guest "card_is $second chkstop 0; has $queues"
	succeeds "guest: RSA on it again" small "$queue"

	succeeds "the adapter vanishes" aphw -s adapter remove $name
	succeeds "host: it is gone" soon no_card "$second"
	succeeds "host: the guest is without it" soon host_has $rest
	succeeds "guest: it is gone" guest "has $rest"
	succeeds "it comes back" aphw -s adapter add $name mode=accelerator
	succeeds "host: the guest has it again" soon host_has $queues
	succeeds "guest: it is back" guest "has $queues"
	succeeds "guest: RSA on it again" small "$queue"
	succeeds "guest: the other adapter's RSA was right all the time" guest load_ends

	succeeds "the queue answers late" aphw queue "$queue" reply-time 100
	succeeds "guest: RSA on a slow queue" rsa "$queue" --bits 512 --count 2
	succeeds "guest: more requests at once than the queue holds" \
		rsa "$queue" --bits 512 --count 1 --jobs 12
	succeeds "it answers at once" aphw queue "$queue" reply-time 0
	succeeds "resets and interrupt control are slow" eval \
		"aphw queue $queue reset-time 300 && aphw queue $queue irq-time 100"
	succeeds "the slow queue is taken away" assign unassign_adapter "$second"
	succeeds "guest: it is gone" guest "has $rest"
	succeeds "the slow queue is given back" assign assign_adapter "$second"
	succeeds "guest: it is back" guest "has $queues"
	works_again "guest: RSA on it again" "$queue"

	succeeds "the domain loses its queues" aphw -s domain $((16#$d)) usage off
	succeeds "host: the guest has no queue" soon host_has ""
	succeeds "guest: it has no queue" guest "has"
	succeeds "the domain has queues again" aphw -s domain $((16#$d)) usage on
	succeeds "host: the guest has its queues again" soon host_has $queues
	succeeds "guest: it has its queues again" guest "has $queues"
	works_again "guest: RSA on them" "$queue"
}

test_end() {
	local log
	log=$(guest dmesg | grep -F "$ALARMS")
	same "guest: the kernel's log is clean" "" "$log"
	guest_end
	result "the guest ends" $? "$(cat "$work/errors")"
	GUEST_PROCESS=
	succeeds "the mediated device is removed" assign remove 1
	echo "$apmask" >"$BUS/apmask"
	apmask=
	succeeds "host: the queues are back" soon settled
	succeeds "host: RSA on the guest's queue" soon zcrypt-rsa --queue "$first.$d" --bits 512
	log=$(dmesg | sed "1,/linux_guest starts $$/d" | grep -F "$ALARMS")
	same "host: the kernel's log is clean" "" "$log"
}

set_up
echo "linux_guest starts $$" >/dev/kmsg
test_boot
test_bus
test_rsa
if [[ -z $brief ]]; then
	test_administrator
	test_hardware
fi
test_end
echo "1..$count"
((!failed))
