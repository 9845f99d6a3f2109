# Debian's mirrors: which to ask, what to take from them, and why they did not have
# it. To be sourced by bash, after common.sh.
# shellcheck shell=bash

# Options for each source of packages, as in sources.list(5).
MIRROR_OPTIONS=()

# find_mirrors: sets MIRRORS: those of VFIO_AP_MIRROR, or the one this machine's own
# apt is configured for.
find_mirrors() {
	local codename uri
	read -ra MIRRORS -d '' <<<"${VFIO_AP_MIRROR:-}" || true
	if ((!${#MIRRORS[@]})); then
		codename=$(. /etc/os-release && printf '%s' "${VERSION_CODENAME:-}") || true
		while read -r uri; do
			case $uri in
			http:* | https:* | mirror*:*)
				MIRRORS=("$uri")
				break
				;;
			esac
		done < <(apt-get indextargets --no-release-info --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' \
			'Created-By: Packages' 2>/dev/null |
			awk -v codename="$codename" '$2 == codename && $3 == "main" { print $1 }')
	fi
	if ((!${#MIRRORS[@]})); then
		echo "no Debian mirror found in this machine's apt configuration: set VFIO_AP_MIRROR to the address of one" >"$WHY"
		return 1
	fi
	MIRRORS=("${MIRRORS[@]%/}")
}

# package_list FILE...: the names in lists of packages, with commas.
package_list() {
	sed 's/#.*//; /^[[:space:]]*$/d' "$@" | paste -s -d ,
}

# source_line KIND SUITE: a line of sources.list for the mirror and choice in hand.
source_line() {
	local options=("${MIRROR_OPTIONS[@]}")
	((!EXPIRED)) || options+=(check-valid-until=no)
	printf '%s %s%s %s main' "$1" "${options[*]:+[${options[*]}] }" "$MIRROR" "$2"
}

# debian_tree OPTION...: mmdebstrap, with what is the same for every tree.
debian_tree() {
	LC_ALL=C in_namespace mmdebstrap --mode=root --components=main \
		--aptopt='Acquire::Retries "3"' --aptopt='Acquire::Languages "none"' \
		--aptopt='Acquire::http::Timeout "30"' --aptopt='Acquire::https::Timeout "30"' \
		--dpkgopt=force-unsafe-io "$@"
}

# userspace_choices: those of USERSPACE_CHOICES with the suite that the user space was
# taken from, one in a line. They may have it in another way, too.
userspace_choices() {
	local suite choice
	suite=$(sed 's/[ ,].*//; q' "$(result userspace)/.from")
	for choice in "${USERSPACE_CHOICES[@]}"; do
		[[ ${choice%% *} != "$suite" ]] || printf '%s\n' "$choice"
	done
}

# s390x_packages FILE... SUITE: unpacks the packages in these lists, and what they need,
# to $OUT, without what nobody reads here.
s390x_packages() {
	local suite=${!#}
	debian_tree --variant=extract --arch=s390x --include="$(package_list "${@:1:$#-1}")" \
		"$suite" "$OUT" "$(source_line deb "$suite")"
	in_namespace rm -rf "$OUT"/usr/share/{doc,man,info,locale,lintian} \
		"$OUT"/var/{cache,lib}/apt
}

# debian_file WANTED SUITE package|source|tarball NAME: leaves the package's file, the
# source package's files, or its tarball without Debian's patches, in $OUT; the newest
# version of the series WANTED.
debian_file() {
	local kind=deb
	[[ $3 == package ]] || kind=deb-src
	in_tree "$OUT:/out" "$MACHINE_DIR/lib:/setup:ro" -- \
		/setup/fetch "$3" "$4" "$1" "$(source_line $kind "$2")"
}

# is_snapshot MIRROR: it shows the archive as it was on a day, which is long past.
is_snapshot() {
	[[ $1 =~ /[0-9]{8}T[0-9]{6}Z$ ]]
}

# mirror_time MIRROR: what the time is there, in seconds; nothing if it won't tell.
mirror_time() {
	local server=${1#http://} port=80 line
	[[ $1 == http://* && -z ${http_proxy:-} ]] || return 0
	server=${server%%/*}
	[[ $server != *:* ]] || port=${server##*:} server=${server%:*}
	# shellcheck disable=SC2016
	line=$(timeout 10 bash -c 'exec 3<>"/dev/tcp/$1/$2"
		printf "HEAD / HTTP/1.0\r\nHost: %s\r\n\r\n" "$1" >&3
		cat <&3' bash "$server" "$port" 2>/dev/null | tr -d '\r' |
		sed -n 's/^[Dd]ate: //p' | head -n 1) || return 0
	[[ -z $line ]] || date -d "$line" +%s 2>/dev/null || true
}

# The names of files that could not be had, with their versions: what apt says.
missing_files() {
	sed -nE "s/^E: (Failed to fetch|Unable to fetch) [^ ]*\/pool\/[^ ]*\/([^/ ]+)  +(404|File has unexpected size|Hash Sum mismatch).*/\2/p" "$1" |
		sed 's/_[a-z0-9]*\.deb$//; s/%2b/+/g; s/%7e/~/g; s/%3a/:/g; s/_/ /' | sort -u
}

# understand LOG: sets FAULT to the kind of what went wrong, and FAULT_TEXT to a
# sentence that says it.
understand() {
	local log=$1 files there now text
	FAULT=other FAULT_TEXT=
	now=$(date +%s)
	if disk_is_full "$log"; then
		FAULT=full FAULT_TEXT=$(disk_full_text)
	elif text=$(grep -m 1 -oE 'is not valid yet \(invalid for another [^)]*\)' "$log"); then
		FAULT=clock
		FAULT_TEXT="this machine's clock is wrong: it says $(date -u '+%F %H:%M UTC'), and the index of $MIRROR $text; set the clock"
	elif text=$(grep -m 1 -oE '[^ ]*/dists/[^ ]* is (no longer valid|expired) \(invalid since [^)]*\)' "$log"); then
		FAULT=expired
		text=${text#*invalid since }
		FAULT_TEXT="$MIRROR: the index expired ${text%%)*} ago"
		there=$(mirror_time "$MIRROR")
		if [[ -n $there ]] && ((now - there > 86400 || there - now > 86400)); then
			FAULT=clock
			FAULT_TEXT="this machine's clock is wrong: it says $(date -u '+%F %H:%M UTC'), and $MIRROR $(date -u -d "@$there" '+%F %H:%M UTC'); set the clock"
		fi
	elif files=$(missing_files "$log") && [[ -n $files ]]; then
		FAULT=missing
		FAULT_TEXT="$MIRROR: $(wc -l <<<"$files") of the files that the index names cannot be had ($(head -n 3 <<<"$files" | paste -s -d , | sed 's/,/, /g')$( (($(wc -l <<<"$files") < 4)) || echo ', ...'))"
	elif text=$(no_answer "$log"); then
		FAULT=network FAULT_TEXT="$MIRROR $text"
	elif grep -qE "does not have a Release file|no longer has a Release file|Failed to fetch [^ ]*/dists/[^ ]*  +404" "$log"; then
		FAULT=gone FAULT_TEXT="$MIRROR: there is no such suite"
	elif grep -qE "Failed to fetch [^ ]*/dists/[^ ]*  +(File has unexpected size|Hash Sum mismatch)" "$log"; then
		FAULT=missing FAULT_TEXT="$MIRROR: it is being updated, its index does not fit together"
	elif text=$(grep -m 1 -oiE "Unable to locate package [^ ]*|Package '?[^ ]*'? has no installation candidate|Unable to find a source package for [^ ]*|Version '[^']*' for '[^']*' was not found|there is no .* of the series .*|unmet dependencies|unable to correct problems" "$log"); then
		FAULT=gone FAULT_TEXT="$MIRROR: $text"
	elif text=$(grep -m 1 -oE 'NO_PUBKEY [0-9A-F]*|is not signed|Missing key [0-9A-F]*|signatures? (could not|couldn.t) be verified' "$log"); then
		FAULT=unsigned FAULT_TEXT="$MIRROR: the index is not signed by a key that this machine knows ($text): update the package debian-archive-keyring"
	fi
}

# no_answer LOG: prints why, if the log says that the mirror did not answer.
no_answer() {
	local text
	text=$(grep -m 1 -oiE "could not resolve '?[^ ']*|temporary failure resolving '?[^ ']*|network is unreachable|no route to host|connection (refused|timed out|reset)|could not connect to [^ ]*|unable to connect to [^ ]*|couldn.t connect to server|50[0-9] +(internal|not|bad|service|gateway|http)[a-z ]*" "$1" |
		head -n 1) || return
	echo "does not answer (${text,})"
}

# disk_is_full [LOG]
disk_is_full() {
	(($(room_left) < 200)) ||
		grep -qE "No space left on device|You don't have enough free space" "${1:-/dev/null}"
}

disk_full_text() {
	echo "the disk is full: make room at $CACHE_DIR, or set VFIO_AP_CACHE to a place with $((SETUP_ROOM / 1000)) GB"
}

# room_left: free MiB in the cache.
room_left() {
	df -Pm "$CACHE_DIR" | awk 'NR == 2 { print $4 }'
}

# take FUNCTION CHOICE...: has the function make $OUT from the first of the choices
# that a mirror has whole, and notes in $OUT/.from which that was. The function is
# called with the words of the choice, and finds the mirror in $MIRROR. What it was
# not made from, and why, is left in the file $NOTES; why it could not be made at
# all, in $WHY.
take() {
	local function=$1 choice words log=$OUT.attempt status reasons=() alive=() mirror
	shift
	find_mirrors || return
	for choice; do
		EXPIRED=0
		read -ra words <<<"$choice"
		if [[ ${words[-1]} == expired ]]; then
			EXPIRED=1
			unset 'words[-1]'
		fi
		alive=("${MIRRORS[@]}")
		MIRRORS=()
		for MIRROR in "${alive[@]}"; do
			take_one "$function" "${words[@]}"
			case $FAULT in
			none) return ;;
			full | clock)
				echo "$FAULT_TEXT" >"$WHY"
				return 1
				;;
			# Not the mirror's fault: the log will tell.
			other) return 1 ;;
			esac
			reasons+=("${words[*]%% *}: $FAULT_TEXT")
			[[ $FAULT == network ]] || MIRRORS+=("$MIRROR")
		done
		if ((!${#MIRRORS[@]})); then
			{
				printf 'no network, or the mirror is down:'
				printf ' %s;' "${reasons[@]#*: }"
				echo ' try again later, or set VFIO_AP_MIRROR to another Debian mirror'
			} >"$WHY"
			return 1
		fi
	done
	{
		echo "none of the choices in tools/testing/machine/versions can be had:"
		printf '  %s\n' "${reasons[@]}"
		echo "try again later, or set VFIO_AP_MIRROR to another Debian mirror, or to a day's snapshot of one"
	} >"$WHY"
	return 1
}

# take_one FUNCTION WORD...: one choice from one mirror, for take(). What went wrong is
# in FAULT, which is 'none' if it is made.
take_one() {
	local EXPIRED=$EXPIRED
	! is_snapshot "$MIRROR" || EXPIRED=1
	remove "$OUT"
	mkdir -p "$OUT"
	# In the background, where a failure ends it.
	(
		set -euo pipefail
		"$@"
	) >"$log" 2>&1 &
	status=0
	wait $! || status=$?
	cat "$log"
	if ((status)); then
		understand "$log"
		echo "take: $choice: $FAULT: $FAULT_TEXT"
		rm -f "$log"
		return
	fi
	rm -f "$log"
	FAULT=none
	local what="${words[*]}"
	((!EXPIRED)) || is_snapshot "$MIRROR" || what+=", though its index has expired"
	printf '%s, from %s\n' "$what" "$MIRROR" >"$OUT/.from"
	((!${#reasons[@]})) || {
		printf '%s\n' "${reasons[@]}" | sed 's/^/not from /'
		printf 'taken instead: %s\n' "$(<"$OUT/.from")"
	} >>"$NOTES"
}
