"""Page elements shared by all reports: blocks, markup, figures, rendering to HTML and Markdown."""
