"""The page of a recipe for `vqdoctor explain`: what it shows, how it is run, and what must come out. It imports no torch."""

from __future__ import annotations

from vqdoctor.trainer.recipes import Recipe


def recipe_page(recipe: Recipe) -> str:
    """Everything about a recipe, as Markdown."""
    facts = {
        "after": f"document {recipe.seed}",
        "encoder": recipe.encoder,
        "schedule": f"{recipe.schedule} (scale seed); runs at scale {recipe.scale} unless told",
        "split": recipe.split,
        "runs first": recipe.needs or "",
        "the document's own figures": recipe.quoted,
    }
    told = "\n".join(f"- **{name}**: {value}" for name, value in facts.items() if value)
    expected = "\n".join(
        f"- `{metric}` {' and '.join(f'{SIGNS[which]} {value:g}' for which, value in bounds.items())}"
        for metric, bounds in recipe.expected.items()
    )
    settings = "\n".join(f"    {name} = {value!r}" for name, value in recipe.settings.items())
    return (
        f"# {recipe.name}\n\n{recipe.shows[:1].upper()}{recipe.shows[1:]}.\n\n{told}\n\n"
        + (f"## Expected of the {recipe.judged} model\n\n{expected}\n\n" if expected else "")
        + f"## Settings (each can be changed with --set)\n\n{settings}\n\n    vqdoctor train {recipe.name} --check\n"
    )


SIGNS = {"min": "≥", "max": "≤"}
