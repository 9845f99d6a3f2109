# SPDX-License-Identifier: GPL-2.0
#
# Reads a document and finds its examples; see replay.
#
#   awk -v mode=script -f examples.awk DOCUMENT
#	prints a script of what the examples execute
#   awk -v mode=merge -v outputs=FILE -f examples.awk DOCUMENT
#	prints the document with what that script has printed; with
#	-v driver=NAME, blocks whose output is different with that driver stay
#	as they are

function is_command(text) {
	return text ~ /^(guest)?# /
}

function quoted(text) {
	gsub(/'/, "'\\''", text)
	return "'" text "'"
}

function copy(text) {
	if (mode == "merge")
		print text
}

# What stands before the next line that is not empty.
function copy_blank_lines() {
	for (; blank; blank--)
		copy("")
}

function end_command() {
	number++
	if (mode == "merge") {
		if (!keep)
			printf "%s", output[number]
	} else {
		print "printf '\\n%s\\n' " quoted(mark)
		if (sub(/^guest# /, "", command))
			print "guest_send " quoted(command)
		else
			print substr(command, 3)
	}
	command = ""
}

# A line of an example, without its indentation.
function example(text) {
	if (command != "") {
		command = command "\n" text
	} else if (is_command(text)) {
		copy_blank_lines()
		command = text
	} else {
		# What an earlier run has printed.
		if (keep) {
			copy_blank_lines()
			copy(indentation text)
		}
		blank = 0
		return
	}
	blank = 0
	copy(indentation text)
	if (text !~ /\\$/)
		end_command()
}

# An output ends with the newline that comes before the mark; in a document it
# is indented and has no blanks at the ends of its lines.
function read_outputs(    line, n, empty) {
	while ((getline line < outputs) > 0) {
		if (line == mark) {
			n++
			empty = 0
			continue
		}
		sub(/^(\/usr\/bin\/)?bash: line [0-9]+: /, "-bash: ", line)
		sub(/[ \t\r]+$/, "", line)
		if (line == "") {
			empty++
			continue
		}
		for (; empty; empty--)
			output[n] = output[n] "\n"
		output[n] = output[n] "\v" line "\n"
	}
}

BEGIN {
	mark = "-- command --"
	state = "text"
	if (mode == "merge")
		read_outputs()
}

state == "example" {
	if ($0 ~ /^[ \t]*$/) {
		blank++
		next
	}
	if (index($0, indentation) == 1) {
		example(substr($0, length(indentation) + 1))
		next
	}
	copy_blank_lines()
	state = "text"
}

state == "literal" && !/^[ \t]*$/ {
	state = "text"
	match($0, /^[ \t]*/)
	if (RLENGTH && is_command(substr($0, RLENGTH + 1))) {
		state = "example"
		keep = driver != "" && differs == driver
		differs = ""
		indentation = substr($0, 1, RLENGTH)
		for (n in output)
			gsub(/\v/, indentation, output[n])
		example(substr($0, RLENGTH + 1))
		next
	}
}

{
	copy($0)
}

/^\.\. replay-differs: / {
	differs = $3
}

/^\.\. replay-guest: / && mode == "script" {
	print $3 == "off" ? "guest_stop" : "guest_start " quoted($3)
}

/::$/ && !/^[ \t]*\.\. / {
	state = "literal"
}

END {
	copy_blank_lines()
}
