# SPDX-License-Identifier: GPL-2.0
#
# Completion of the project's commands, for bash: '. tools/testing/machine/completion.bash'.
# What there is to complete is what their --help says.
# shellcheck shell=bash

# _vfio_ap_values COMMAND OPTION: prints what can be behind an option's '='.
_vfio_ap_values() {
	case $2 in
	--driver) echo c rust none ;;
	--linux) "$1" --help | sed -n 's/.*series: \([0-9. ]*\) (default.*/\1/p' ;;
	--kernel) echo debug ;;
	--cpus) echo 1 2 4 ;;
	esac
}

_vfio_ap_complete() {
	local command=${COMP_WORDS[0]} word=$2 before=$3 options values
	COMPREPLY=()
	# Words end at an equals sign, too.
	if [[ $word == = || $before == = ]]; then
		[[ $before == = ]] || before=$3 word=''
		[[ $before != = ]] || before=${COMP_WORDS[COMP_CWORD - 2]}
		values=$(_vfio_ap_values "$command" "$before")
		if [[ -n $values ]]; then
			mapfile -t COMPREPLY < <(compgen -W "$values" -- "$word")
		else
			mapfile -t COMPREPLY < <(compgen -f -- "$word")
		fi
		return
	fi
	if [[ $word == -* ]]; then
		options=$("$command" --help | grep -oE '^ +(-[a-z], )?--[a-z-]+(=|  |$)' | grep -oE -- '--[a-z-]+=?' | sort -u)
		mapfile -t COMPREPLY < <(compgen -W "$options" -- "$word")
		[[ ${COMPREPLY[0]-} != *= ]] || compopt -o nospace
	elif [[ ${command##*/} == check ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$("$command" --list | sed 's/ .*//; p; s|/.*||' |
			sort -u)" -- "$word")
	elif [[ ${command##*/} == setup ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$("$command" --help | sed -n '/^Steps:/,/^$/p' |
			sed '/^A step/,$d; s/^[^:]*: //')" -- "$word")
	else
		mapfile -t COMPREPLY < <(compgen -f -- "$word")
	fi
}

complete -F _vfio_ap_complete run check setup replay
