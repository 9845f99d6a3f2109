# A Linux guest that runs while the host goes on: commands for its shell one by
# one. To be sourced by bash, in the emulated host.
# shellcheck shell=bash

# guest_start [OPTION...]: with linux-guest's options; returns when the guest's
# shell is there, or fails.
guest_start() {
	GUEST_MARK="end-of-command-$RANDOM$RANDOM"
	coproc GUEST { exec linux-guest "$@" -- bash; }
	# Bash forgets what it knows of a coprocess when that ends, and does not
	# show its descriptors to subshells.
	GUEST_PROCESS=$GUEST_PID
	exec {GUEST_IN}>&"${GUEST[1]}" {GUEST_OUT}<&"${GUEST[0]}"
	eval "exec ${GUEST[1]}>&- ${GUEST[0]}<&-"
	guest 'exec 2>&1'
}

# guest COMMAND: runs it in the guest's shell, with its output and status. The
# status is 125 when the guest is gone.
guest() {
	local line last=
	{ printf '{ %s\n} </dev/null; printf "\\n%s %%d\\n" $?\n' \
		"$1" "$GUEST_MARK" >&"$GUEST_IN"; } 2>/dev/null || return 125
	while IFS= read -r line <&"$GUEST_OUT"; do
		if [[ $line == "$GUEST_MARK "* ]]; then
			# What has no newline at its end gets none.
			[[ $last != $'\n'?* ]] || printf '%s' "${last#$'\n'}"
			return "${line##* }"
		fi
		[[ -z $last ]] || printf '%s\n' "${last#$'\n'}"
		last=$'\n'$line
	done
	return 125
}

# guest_end: lets the shell end and returns what linux-guest returns.
guest_end() {
	exec {GUEST_IN}>&- {GUEST_OUT}<&-
	wait "$GUEST_PROCESS"
}
