# SPDX-License-Identifier: GPL-2.0
"""How Sphinx makes web pages of these documents: 'make htmldocs'."""

project = "vfio_ap in Rust"
copyright = "the authors of vfio_ap in Rust"
root_doc = "index"
exclude_patterns = ["output"]
nitpicky = True
# A literal block is what one sees in a terminal.
highlight_language = "none"
html_theme = "alabaster"
html_theme_options = {"page_width": "1100px"}
html_copy_source = False
