"""`vqdoctor inspect --tui`: one report, or several, to walk through.

`browsing` where the user is, without a screen · `codes`, `query` the codes of a level as a table, sorted and filtered ·
`scatter` the map · `tree` of the IDs · `overview`, `use`, `levels`, `collisions`, `findings` what each view shows, as lines ·
`filling` which pane shows what · `keys`, `moves`, `screen` keys and panes · `app` the inspection behind it. Numbers come from
the report and its facts; here they are only chosen, ordered and drawn.
"""
