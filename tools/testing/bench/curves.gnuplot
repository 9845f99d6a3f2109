# SPDX-License-Identifier: GPL-2.0
# Draws the data that 'report --plot' writes: gnuplot -e "data='FILE'; out='FILE'"

set terminal svg size 960,640 dynamic enhanced font 'sans-serif,11' background 'white'
set output out
set multiplot layout 2,3
set logscale xy
set format y '10^{%T}'
set format x '%g'
set ylabel 'instructions'
set grid
set key top left
set style data linespoints
stats data using 0 nooutput
do for [i = 0:STATS_blocks - 1] {
	stats data index i using 1 nooutput
	if (STATS_records > 0) {
		set title system(sprintf("awk '/^\"/ { if (n++ == %d) { gsub(/\"/, \"\"); print } }' '%s'", i, data)) noenhanced
		plot data index i using 1:2 title 'C' pt 7 ps 0.6 lc rgb '#888888', \
			data index i using 1:3 title 'Rust' pt 7 ps 0.6 lc rgb '#c0392b'
	}
}
unset multiplot
