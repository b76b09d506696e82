"""One compact `vqdoctor.report/1` a line, however many sources there are: what `jq`, `grep` and log collectors like."""

from __future__ import annotations

import json
from collections.abc import Sequence

from vqdoctor.model.report import Report
from vqdoctor.render.screen import Screen
from vqdoctor.render.to_json import report_object


def render(reports: Sequence[Report], screen: Screen) -> str:
    """JSON lines, ASCII only."""
    return "".join(json.dumps(report_object(report), ensure_ascii=True, allow_nan=False) + "\n" for report in reports)
