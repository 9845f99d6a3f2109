# Which Debian mirror to use, and how to ask it. To be sourced by bash, after
# common.sh.
# shellcheck shell=bash

# find_mirror: sets MIRROR: VFIO_AP_MIRROR, or the one this machine's own apt
# is configured for.
find_mirror() {
	local codename uri
	MIRROR=${VFIO_AP_MIRROR:-}
	[[ -z $MIRROR ]] || return 0
	codename=$(. /etc/os-release && printf '%s' "${VERSION_CODENAME:-}") || true
	while read -r uri; do
		case $uri in
		http:* | https:* | mirror*:*)
			MIRROR=$uri
			break
			;;
		esac
	done < <(apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' \
		'Created-By: Packages' 2>/dev/null |
		awk -v codename="$codename" '$2 == codename && $3 == "main" { print $1 }')
	[[ -n $MIRROR ]] ||
		die "no Debian mirror found in this machine's apt configuration: set VFIO_AP_MIRROR to the address of one"
}

# package_list FILE...: the names in lists of packages, with commas.
package_list() {
	sed 's/#.*//; /^[[:space:]]*$/d' "$@" | paste -s -d ,
}

# debian_tree OPTION...: mmdebstrap, with what is the same for every tree.
debian_tree() {
	in_namespace mmdebstrap --mode=root --components=main \
		--aptopt='Acquire::Retries "3"' --aptopt='Acquire::Languages "none"' \
		--dpkgopt=force-unsafe-io "$@"
}
