# The program that starts the emulator and stands between it and the caller.
# shellcheck shell=bash disable=SC2034

relay_about="relay"
relay_takes="1 s"
relay_needs=(tree)

relay_inputs() {
	echo tools/testing/machine/relay
}

relay_make() {
	in_tree "$MACHINE_DIR/relay:/relay:ro" "$OUT:/out" -- \
		gcc -O2 -Wall -Wextra -Werror -static -s -o /out/relay /relay/relay.c
}
