#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Makes an animated SVG of lines that were printed one after the other.

Usage: recording.py LINES SVG

LINES has, for each line, the time in seconds, a tab, and the text. In the picture they
come in from below, as on a terminal, and at their time; only long pauses are cut. Where
a picture stands still, its end is shown.
"""

import html
import re
import sys

ROWS = 30
COLUMNS = 100
LINE_HEIGHT = 18
CHARACTER_WIDTH = 7.8
MARGIN = 12
# In seconds: the longest pause, and how long the end is to be read.
PAUSE = 2.5
END = 8
# What is typed.
PROMPT = re.compile(r" *(\$|host#|guest#|>) ")

HEAD = """<svg xmlns="http://www.w3.org/2000/svg" xml:space="preserve" viewBox="0 0 {width:.0f} {height:.0f}">
<style>
svg {{ background: #1b1f24 }}
text {{ font: 13px monospace; fill: #c9d1d9; white-space: pre }}
.typed {{ fill: #7ee787; font-weight: bold }}
.lines {{ transform: translateY({end}px); animation: scroll {duration:.1f}s step-end infinite }}
@keyframes scroll {{
{frames}
}}
</style>
<rect width="100%" height="100%" fill="#1b1f24"/>
<g class="lines">
"""


def read_lines(name):
    """Pairs of a time and a text that is not too long."""
    with open(name, encoding="utf-8", errors="replace") as file:
        for line in file:
            time, text = line.rstrip("\n").split("\t", 1)
            # What a terminal would have written over is not to be seen.
            text = text.rstrip("\r").rsplit("\r", 1)[-1].expandtabs()
            yield float(time), text if len(text) <= COLUMNS else text[:COLUMNS - 3] + "..."


def shown_at(times):
    """The same times, from 0 on and without long pauses."""
    now = 0
    for before, time in zip([times[0]] + times, times):
        now += min(max(time - before, 0), PAUSE)
        yield now


def keyframes(times, duration):
    """Where the lines are when, of those that come together only the last."""
    frames = {}
    for number, time in enumerate(times, 1):
        frames[f"{100 * time / duration:.2f}"] = (ROWS - number) * LINE_HEIGHT
    for percent, offset in frames.items():
        yield f"{percent}% {{ transform: translateY({offset}px) }}"


def main():
    if len(sys.argv) != 3:
        sys.exit("usage: recording.py LINES SVG")
    lines = list(read_lines(sys.argv[1]))
    if not lines:
        sys.exit("recording: nothing was printed")
    times = list(shown_at([time for time, _ in lines]))
    duration = times[-1] + END
    with open(sys.argv[2], "w", encoding="utf-8") as out:
        out.write(HEAD.format(
            width=2 * MARGIN + COLUMNS * CHARACTER_WIDTH,
            height=2 * MARGIN + ROWS * LINE_HEIGHT,
            end=(ROWS - len(lines)) * LINE_HEIGHT,
            duration=duration,
            frames="\n".join(keyframes(times, duration)),
        ))
        for number, (_, text) in enumerate(lines):
            if text:
                kind = ' class="typed"' if PROMPT.match(text) else ""
                print(f'<text x="{MARGIN}" y="{MARGIN + 13 + number * LINE_HEIGHT}"{kind}>'
                      f"{html.escape(text, quote=False)}</text>", file=out)
        print("</g>\n</svg>", file=out)


main()
