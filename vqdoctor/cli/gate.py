"""`vqdoctor gate`: options and the project's settings to a `GateRequest`, its result to views and an exit status."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from vqdoctor.cli.command import Command, option
from vqdoctor.cli.completion import complete_bound, complete_path, complete_rule
from vqdoctor.cli.inspect import command as inspect_command
from vqdoctor.cli.inspect import request_of, split_features, warn_of
from vqdoctor.cli.options import Output, deliver, refuse_overwriting, reporting
from vqdoctor.cli.streams import working_folder
from vqdoctor.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from vqdoctor.app.gating.gate import Gated
    from vqdoctor.app.gating.request import GateRequest
    from vqdoctor.cli.gate_config import Settled
    from vqdoctor.render import Screen

EXAMPLES = (
    ("Is this checkpoint fit to ship? Defects, and real use where features lie beside it", "vqdoctor gate model.ckpt"),
    (
        "At least 90 % of the codes of every level in real use",
        "vqdoctor gate model.ckpt --features f.npy --min usage.utilization=0.9",
    ),
    (
        "At one level only, and no EMA illusion",
        "vqdoctor gate m.ckpt --min 'quantizer.vq[1]:usage.perplexity=300' --rule VQ103=error",
    ),
    ("Semantic IDs: few items may share one", "vqdoctor gate items.index.json --sizes 256,256,256 --preset semantic-ids"),
    ("A finished run, by its best point", "vqdoctor gate logs/ --min usage.batch_utilization=0.8 --at best"),
    ("Accept what is known, fail on anything worse", "vqdoctor gate model.ckpt --baseline vqdoctor-baseline.toml"),
    ("No worse than the last release by more than 2 %", "vqdoctor gate m.ckpt --baseline b.toml --max-drop usage.utilization=2%"),
    ("See every gate fail on a sick checkpoint and pass on a healthy one", "vqdoctor gate --self-test"),
)
WHAT, HOW, BASE, PROJECT = "What must hold", "How it is judged", "What is known", "The project's settings"
INPUTS = (
    "features", "codes", "data", "population", "batch", "quantizer", "metric", "select", "axis", "sizes", "checkpoint", "suffix",
    "ema_threshold", "ema_decay", "engine", "temperature", "fit",
)  # fmt: skip
"""Options of inspect that say what is measured and how."""
COUNTED = ("github", "junit", "sarif")
"""Formats whose failures somebody counts."""
BOUND = "[WHERE:]METRIC=VALUE"


@click.command(cls=Command, examples=EXAMPLES)
@click.argument("paths", metavar="PATH...", nargs=-1, shell_complete=complete_path)
@option("--min", "least", metavar=BOUND, multiple=True, group=WHAT, shell_complete=complete_bound, help="At least this much.")
@option("--max", "most", metavar=BOUND, multiple=True, group=WHAT, shell_complete=complete_bound, help="At most this much.")
@option(
    "--rule", "rules", metavar="RULE=LEVEL", multiple=True, group=WHAT, shell_complete=complete_rule,
    help="No finding of this rule; LEVEL error, warning or info says how grave one is, off leaves it out.",
)  # fmt: skip
@option(
    "--preset", "presets", multiple=True, group=WHAT, type=click.Choice(["recommended", "strict", "codec", "semantic-ids"]),
    help="Ready-made; `vqdoctor explain PRESET` shows it. Alone if nothing is asked for: recommended.",
)  # fmt: skip
@option(
    "--inconclusive", type=click.Choice(["fail", "pass", "warn"]), group=HOW,
    help="What an answer that too few rows leave open comes to.  [default: fail]",
)  # fmt: skip
@option("--at", metavar="last|best|window:N", group=HOW, help="Logs: which points count; of a window the mean.  [default: last]")
@option("--require-n", is_flag=True, group=HOW, help="Logs: what is stated without the number of rows is inconclusive.")
@option("--baseline", metavar="FILE", group=BASE, help="Known failures pass while they get no worse.")
@option(
    "--max-drop", "drops", metavar=BOUND + "[%]", multiple=True, group=BASE, shell_complete=complete_bound,
    help="Worse than the baseline by no more than this, or than this share of it.",
)  # fmt: skip
@option("--write-baseline", metavar="FILE", group=BASE, help="Write the present state, and accept it.")
@option("--shrink-baseline", "shrink", is_flag=True, group=BASE, help="Drop from --baseline what is gone, tighten what is better.")
@option("--show-config", is_flag=True, group=PROJECT, help="What is asked for here, and which file or option says so.")
@option("--validate-config", is_flag=True, group=PROJECT, help="Check the settings by name; nothing is measured.")
@option("--self-test", is_flag=True, group=PROJECT, help="See each gate fail on a sick checkpoint and pass on a healthy one.")
@partial(reporting, fail_on_default="error")
def command(paths: tuple[str, ...], output: Output, **asked: Any) -> int:
    """Turn thresholds and rules into an exit status: 0 all hold, 1 one does not or too few rows leave it open.

    PATH is a checkpoint, a file of semantic IDs, a training log, or a folder of them. Thresholds come from options, from a preset
    and from [tool.vqdoctor.gate] in the nearest pyproject.toml or vqdoctor.toml; options override. A threshold is met only if the
    rows bear it out: "inconclusive" says how many rows would settle it.
    """
    from vqdoctor.cli import gate_config

    if asked.pop("validate_config"):
        return gate_config.validate(Path(working_folder()))
    show, self_test = asked.pop("show_config"), asked.pop("self_test")
    settled = gate_config.settle(Path(working_folder()), fail_on=_given("fail_on", output.fail_on), **_policies(asked))
    if show:
        return gate_config.show(settled)
    if self_test:
        return _test_itself(settled, output)
    if not paths:
        raise UsageError("Name a checkpoint, a file of semantic IDs, a log or a folder.", hint="See: vqdoctor gate --help")
    return _gate(paths, settled, output, asked)


command.params[1:1] = [parameter for parameter in inspect_command.params if parameter.name in INPUTS]


def _given(name: str, value: str) -> str | None:
    """An option's value where the user gave it, None where it is the default."""
    source = click.get_current_context().get_parameter_source(name)
    return None if source is ParameterSource.DEFAULT else value


def _policies(asked: dict[str, Any]) -> dict[str, Any]:
    """What settings may say too, taken out of the options."""
    names = (
        "least",
        "most",
        "drops",
        "rules",
        "presets",
        "inconclusive",
        "at",
        "require_n",
        "baseline",
        "write_baseline",
        "shrink",
    )
    return {name: asked.pop(name) for name in names}


def _gate(paths: tuple[str, ...], settled: Settled, output: Output, inputs: dict[str, Any]) -> int:
    from vqdoctor.app.gating.gate import gate
    from vqdoctor.cli.progress import progress_for

    features = tuple(split_features(given) for given in inputs.pop("features"))
    read = [*paths, *(path for _, path in features), *(inputs[name] for name in ("codes", "data", "checkpoint") if inputs[name])]
    written = [path for _, path in output.targets] + [path for path in (settled.request.write_baseline,) if path]
    refuse_overwriting([*read, *(path for path in (settled.request.baseline,) if path)], [path for _, path in output.targets])
    refuse_overwriting(read, written)
    request = settled.with_inputs(request_of(features, output.wants("html"), translate=False, **inputs))
    progress = progress_for(output.quiet, output.color)
    try:
        gated = gate(paths, request, progress, warn_of(output.quiet))
    finally:
        progress.stop()
    _warn(gated, request, output.quiet)
    deliver(gated.reports, output, gate=gated.result, own=_views(gated))
    return int(ExitCode.FINDINGS if gated.result.stops else ExitCode.OK)


def _warn(gated: Gated, request: GateRequest, quiet: bool) -> None:
    """What passes although nobody knows."""
    from vqdoctor.render.gate_words import tally

    if not quiet and request.inconclusive == "warn" and gated.result.verdict == "inconclusive":
        sys.stderr.write(f"vqdoctor: warning: the gate is inconclusive: {tally(gated.result)}.\n")


def _views(gated: Gated) -> dict[str, Callable[[Screen], str]]:
    """A gate's own views; the others are everybody's, with the gate in front."""
    from vqdoctor.render.gate_json import render_gate as as_json
    from vqdoctor.render.gate_json import render_lines as as_lines

    def as_text(screen: Screen) -> str:
        from vqdoctor.render.gate_text import render_gate

        return render_gate(gated.result, gated.reports, screen)

    def counted(form: str) -> Callable[[Screen], str]:
        from vqdoctor.render import renderer
        from vqdoctor.render.gate_findings import as_gated

        result, reports = as_gated(gated.result, gated.reports)
        return lambda screen: renderer(form).render(reports, screen, result)

    return {
        "text": as_text,
        "json": lambda screen: as_json(gated.result),
        "jsonl": lambda screen: as_lines(gated.result),
        **{form: counted(form) for form in COUNTED},
    }


def _test_itself(settled: Settled, output: Output) -> int:
    from vqdoctor.app.gating.self_test import self_test
    from vqdoctor.cli.streams import write_out
    from vqdoctor.render.gate_self_test import render

    if output.format not in ("text", "json") or output.targets:
        raise UsageError("--self-test writes text or JSON to standard output.", hint="Leave --report away.")
    seen = self_test(settled.request.asks)
    write_out(render(seen, output.format, output.screen(sys.stdout)))
    return int(ExitCode.OK if all(each.shown for each in seen) else ExitCode.FINDINGS)
