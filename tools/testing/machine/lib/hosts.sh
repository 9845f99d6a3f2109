# Hosts that run side by side, each with a shell that takes commands one by one. To be
# sourced by bash, after common.sh.
#
# The caller sets: dir (a directory of its own) and RUN (the command that runs a host).
# shellcheck shell=bash disable=SC2154

MARK="end-of-command-$RANDOM$RANDOM"
# By the host's number: the process, and its standard input and output.
declare -A HOST=() TO=() FROM=()

# end_hosts: whatever they do.
end_hosts() {
	local n
	for n in "${!HOST[@]}"; do
		kill "${HOST[$n]}" 2>/dev/null
	done
	wait
}

# boot_host N NETWORK [OPTION...]: boots a host, which N stands for here, with a shell.
boot_host() {
	local n=$1 network=$2 fd to from
	shift 2
	rm -f "$dir/to-$n" "$dir/from-$n"
	mkfifo "$dir/to-$n" "$dir/from-$n"
	(
		# The other hosts' standard input ends when this shell closes it.
		for fd in "${TO[@]}" "${FROM[@]}"; do
			exec {fd}>&-
		done
		exec "${RUN[@]}" ${network:+--connect="$network"} --qmp="$dir/qmp-$n" \
			--log="$dir/console-$n" "$@" -- bash
	) <"$dir/to-$n" >"$dir/from-$n" 2>"$dir/err-$n" &
	HOST[$n]=$!
	exec {to}>"$dir/to-$n" {from}<"$dir/from-$n"
	TO[$n]=$to FROM[$n]=$from
}

# host_is_up N: waits for it.
host_is_up() {
	in_host "$1" 'exec 2>&1'
}

# start_host N NETWORK [OPTION...]: boots a host and waits for it.
start_host() {
	boot_host "$@"
	host_is_up "$1"
}

# in_host N COMMAND: runs it in the host's shell, with its output.
in_host() {
	local line
	printf '{ %s\n} </dev/null; printf "\\n%s\\n"\n' "$2" "$MARK" >&"${TO[$1]}"
	while IFS= read -r -t 1800 line <&"${FROM[$1]}"; do
		[[ $line != "$MARK" ]] || return 0
		[[ -z $line ]] || printf '%s\n' "$line"
	done
	echo "the host $1 is gone"
	return 1
}

# end_host N: lets its shell end.
end_host() {
	local to=${TO[$1]} from=${FROM[$1]}
	exec {to}>&- {from}<&-
	unset "TO[$1]" "FROM[$1]"
	wait "${HOST[$1]}"
	unset "HOST[$1]"
}

# listening PORT: prints a condition for a host's shell, whether somebody listens there. A
# guest's emulator has its monitor before it does.
listening() {
	printf "grep -qE ':%04X [0-9A-F]+:[0-9A-F]+ 0A ' /proc/net/tcp /proc/net/tcp6" "$1"
}

# kill_host N: the emulator, as if the machine had lost its power.
kill_host() {
	local pid
	for pid in $(grep -lsa "path=$dir/qmp-$1," /proc/[0-9]*/cmdline | tr -dc '0-9\n'); do
		[[ $(readlink "/proc/$pid/exe") == */relay ]] || kill -KILL "$pid" 2>/dev/null
	done
	end_host "$1"
}

# qmp N COMMAND...: gives the emulator's monitor these commands, one after the other.
qmp() {
	local n=$1
	shift
	perl -MIO::Socket::UNIX -e '
		my ($socket, @commands) = @ARGV;
		my $qmp = IO::Socket::UNIX->new($socket) or die "$socket: $!\n";
		sub answer {
			while (my $line = <$qmp>) {
				die $line if $line =~ /^{"error"/;
				return if $line =~ /^{"(return|QMP)"/;
			}
			die "the emulator is gone\n";
		}
		answer();
		for my $command (q({"execute":"qmp_capabilities"}), @commands) {
			print $qmp "$command\n";
			$qmp->flush();
			answer();
		}' "$dir/qmp-$n" "$@" 2>"$dir/err" || sed 's/^/# /' "$dir/err"
}
