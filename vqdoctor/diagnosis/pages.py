"""The help page of each rule: what it means, why it is bad, an example, what to do, thresholds, sources.

Text lives in `pages/<id>.md`; the table of thresholds is written from the rule itself, so that page and judgement cannot differ.
"""

from __future__ import annotations

from vqdoctor.diagnosis.rule import Rule

HEADINGS = ("What it means", "Why it is bad", "Example", "What to do instead", "Evidence and thresholds", "Sources")
TABLE = "{thresholds}"


def page(rule: Rule) -> str:
    """Markdown: title line, one line of summary, then a section for each of `HEADINGS`."""
    from importlib import resources  # loads half a dozen modules, for those who read pages

    text = rule.page or (resources.files(__package__) / "pages" / f"{rule.id}.md").read_text(encoding="utf-8")
    return f"# {rule.id} {rule.name}\n\n{rule.title}\n\n{text.replace(TABLE, _table(rule)).strip()}\n"


def _table(rule: Rule) -> str:
    reads = f"Reads: {', '.join(f'`{name}`' for name in rule.needs)}." if rule.needs else ""
    if not rule.thresholds:
        return f"{reads} It has no thresholds; `severity` can be set.".strip()
    lines = [f"| `{name}` | {limit.default:g} | {limit.unit} | {limit.meaning} |" for name, limit in rule.thresholds.items()]
    head = "| threshold | default | unit | passing it |\n|---|---|---|---|\n"
    return f"{head}{chr(10).join(lines)}\n\n{reads} Configure: `[tool.vqdoctor.rules]` `{rule.id} = {{ {_example(rule)} }}`."


def _example(rule: Rule) -> str:
    name, limit = next(iter(rule.thresholds.items()))
    return f"{name} = {limit.default:g}"
