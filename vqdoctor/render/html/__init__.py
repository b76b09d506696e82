"""A report as one HTML file to send, to keep with a build, or to open on a phone: verdict first, then what it rests on.

`markup` makes every tag and escapes every word · `sheet` what each part is told · `verdict`, `findings`, `codebooks`, `codes` and
`measured` the parts · `figures` SVG, `tables` tables · `page` the whole, with `report.css` and `report.js` beside it. A picture or
a table measures nothing: it places what the report holds.
"""

from vqdoctor.render.html.page import render

__all__ = ["render"]
