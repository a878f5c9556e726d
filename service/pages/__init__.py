"""Pages for people: the report of a study and the start page. HTML by Jinja2, plots as SVG, no build step."""
