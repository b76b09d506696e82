"""`vqdoctor encode`: codes or semantic IDs for each row, as a file."""

from __future__ import annotations

import click

from vqdoctor.cli.command import Command, option
from vqdoctor.cli.completion import complete_engine, complete_path, complete_quantizer
from vqdoctor.cli.options import color_option, refuse_overwriting
from vqdoctor.cli.streams import write_out
from vqdoctor.errors import printable

EXAMPLES = (
    ("Semantic IDs for latents, one a row", "vqdoctor encode rqvae.pt --features latents.npy -o items.index.json"),
    (
        "From raw inputs, through the encoder of a checkpoint of `vqdoctor train`",
        "vqdoctor encode best.pt --data items.npy -o items.index.json",
    ),
    (
        "Unique IDs: a last token tells equal ones apart",
        "vqdoctor encode rqvae.pt --features latents.npy --dedup -o items.index.json",
    ),
    ("Shards encoded on a cluster, by a plugin", "vqdoctor encode rqvae.pt --features shards/ --engine ray -o items.npy"),
    ("Codes as an array (N, levels)", "vqdoctor encode vq.safetensors --features latents.npy -o codes.npy"),
)


@click.command(cls=Command, examples=EXAMPLES)
@click.argument("checkpoint", metavar="CKPT", shell_complete=complete_path)
@option("--features", metavar="F", help="Encoder outputs before quantisation, rows (N, D).")
@option("--data", metavar="D", help="Raw inputs instead, for a checkpoint of the bundled trainer.")
@option("-o", "--out", required=True, metavar="OUT", help="Ends in .index.json, .npy or .parquet.")
@option("--quantizer", metavar="NAME", shell_complete=complete_quantizer, help="Which one, where the file holds several.")
@option("--metric", type=click.Choice(["l2", "cosine", "dot"]), help="How the model looks codes up, where the file cannot say.")
@option("--dedup", is_flag=True, help="Add a last token: the row's rank among those of equal ID.")
@option(
    "--engine",
    metavar="NAME",
    default="local",
    show_default=True,
    shell_complete=complete_engine,
    help="Where rows are encoded: here, or by a plugin on a cluster (see: vqdoctor plugins engines).",
)
@option("--quiet", is_flag=True, help="No progress on standard error.")
@option("--debug", is_flag=True, expose_value=False, help="Show the traceback of an error.")
@color_option
def command(
    checkpoint: str,
    features: str | None,
    data: str | None,
    out: str,
    quantizer: str | None,
    metric: str | None,
    dedup: bool,
    engine: str,
    quiet: bool,
    color: str,
) -> None:
    """Write the nearest code of each row, level by level: codes, or semantic IDs that recommenders read."""
    from vqdoctor.app.encode import encode_rows
    from vqdoctor.cli.progress import progress_for
    from vqdoctor.safe_write import refuse_folder, refuse_irregular
    from vqdoctor.samples.id_writing import refuse_ending, write_ids

    refuse_overwriting([path for path in (checkpoint, features, data) if path], [out])
    for refuse in (refuse_ending, refuse_irregular, refuse_folder):
        refuse(out)  # before the work
    progress = progress_for(quiet, color)
    try:
        done = encode_rows(
            checkpoint,
            features=features,
            data=data,
            quantizer=quantizer,
            metric=metric,
            dedup=dedup,
            engine=engine,
            progress=progress,
        )
        progress.start("writing", done.n)
        write_ids(out, done.n, done.blocks, done.marks, seen=progress.advance)
    finally:
        progress.stop()
    write_out(f"{printable(out)}: {done.n} rows × {len(done.marks)} tokens, {done.unique} distinct IDs before any de-dup token\n")
