# The AP hardware that the user asks for, as arguments of the emulator.
# To be sourced by bash, after common.sh.
# shellcheck shell=bash

# What --ap means unless given: one adapter of each mode, and three domains.
readonly AP_DEFAULT_ADAPTERS=cca:4,accel:5,ep11:6
readonly AP_DEFAULT_DOMAINS=4,6,71

ap_die() {
	die "--ap '$AP_SPEC': $*
  expected ADAPTERS[@DOMAINS], for instance cca:4-5,accel:6@0-3,71 (see --help)"
}

# ap_range TEXT WHAT: sets AP_FIRST and AP_LAST from N or N-M.
ap_range() {
	local text=$1 what=$2 number='(0[xX][0-9a-fA-F]{1,4}|[0-9]{1,4})'

	[[ $text =~ ^$number(-$number)?$ ]] ||
		ap_die "'$text' is not a number or a range of $what"
	AP_FIRST=$(ap_number "${BASH_REMATCH[1]}")
	AP_LAST=$AP_FIRST
	[[ -z ${BASH_REMATCH[2]} ]] || AP_LAST=$(ap_number "${BASH_REMATCH[3]}")
	((AP_LAST <= 255)) && ((AP_FIRST <= 255)) ||
		ap_die "'$text': $what go from 0 to 255"
	((AP_FIRST <= AP_LAST)) ||
		ap_die "'$text' ends before it begins"
}

# ap_number TEXT: decimal (leading zeros do not make it octal), or hex with 0x.
ap_number() {
	case $1 in
	0[xX]*) echo $(($1)) ;;
	*) echo $((10#$1)) ;;
	esac
}

# ap_adapters LIST: adds the adapters to AP_ARGUMENTS.
ap_adapters() {
	local item items kind mode model numbers apid
	local -A seen=()

	[[ $1 != *, && $1 != ,* && $1 != *,,* ]] ||
		ap_die "an adapter is missing beside a comma"
	IFS=, read -ra items <<<"$1"
	for item in "${items[@]}"; do
		kind=cca
		numbers=$item
		if [[ $item == *:* ]]; then
			kind=${item%%:*}
			numbers=${item#*:}
		fi
		model=cex8
		if [[ $kind == */* ]]; then
			model=${kind#*/}
			kind=${kind%%/*}
		fi
		case $kind in
		cca | ep11) mode=$kind ;;
		accel | accelerator) mode=accelerator ;;
		*) ap_die "'$kind' is not a mode: cca, accel or ep11" ;;
		esac
		[[ $model =~ ^cex[3-8]$ ]] ||
			ap_die "'$model' is not a model: cex3 to cex8"
		[[ $model/$mode != cex3/ep11 ]] ||
			ap_die "'$item': a cex3 has no mode ep11"
		ap_range "$numbers" adapters
		for ((apid = AP_FIRST; apid <= AP_LAST; apid++)); do
			[[ -z ${seen[$apid]:-} ]] || ap_die "adapter $apid is there twice"
			seen[$apid]=1
			AP_ARGUMENTS+=(-device "ap-adapter,apid=$apid,model=$model,mode=$mode")
		done
	done
}

# ap_domains LIST: adds the domains to AP_ARGUMENTS.
ap_domains() {
	local item items kind options numbers domain
	local -A seen=()

	[[ $1 != *, && $1 != ,* && $1 != *,,* ]] ||
		ap_die "a domain is missing beside a comma"
	IFS=, read -ra items <<<"$1"
	for item in "${items[@]}"; do
		options=
		numbers=$item
		if [[ $item == *:* ]]; then
			kind=${item%%:*}
			numbers=${item#*:}
			case $kind in
			usage) options=,control=off ;;
			control) options=,usage=off ;;
			*) ap_die "'$kind' is not a kind of domain: usage or control" ;;
			esac
		fi
		ap_range "$numbers" domains
		for ((domain = AP_FIRST; domain <= AP_LAST; domain++)); do
			[[ -z ${seen[$domain]:-} ]] || ap_die "domain $domain is there twice"
			seen[$domain]=1
			AP_ARGUMENTS+=(-device "ap-domain,domain=$domain$options")
		done
	done
}

# ap_arguments SPEC: sets AP_CPU, the CPU model, and AP_ARGUMENTS.
ap_arguments() {
	AP_SPEC=$1
	AP_CPU=max
	AP_ARGUMENTS=()
	case $AP_SPEC in
	none)
		AP_CPU=max,ap=off,apqci=off,apft=off,apqi=off
		return
		;;
	empty)
		return
		;;
	'')
		ap_die "nothing is there"
		;;
	esac
	local adapters=${AP_SPEC%%@*} domains=$AP_DEFAULT_DOMAINS
	if [[ $AP_SPEC == *@* ]]; then
		domains=${AP_SPEC#*@}
		[[ -n $domains ]] || ap_die "no domains behind the @"
	fi
	[[ -n $adapters ]] || ap_die "no adapters before the @"
	ap_adapters "$adapters"
	ap_domains "$domains"
}
