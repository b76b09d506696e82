"""Measures: pure functions from arrays to numbers under the contract's names, and the page of each number.

A file a family: `usage` (with `batches`, `entropy`, `richness`), `ema`, `geometry` (with `rows`, `neighbours`, `initialisation`),
`distortion`, `levels`, `collisions`; `translate` for other tools' words, `views` for pictures, `registry` for the pages.
Nothing here reads a file, a clock or a random number, so every number can be checked by hand.
"""

from vqdoctor.metrics.batches import BatchMeans, batch_statistics
from vqdoctor.metrics.collisions import expected_excess, measure_collisions
from vqdoctor.metrics.distortion import measure_agreement, measure_distortion, measure_match
from vqdoctor.metrics.ema import counts_from, ema_life, hits_only, measure_ema, measure_illusion, threshold_feasibility
from vqdoctor.metrics.geometry import measure_geometry
from vqdoctor.metrics.id_tree import IdTree, Sizes, fullest_path, join_trees, tree_of
from vqdoctor.metrics.initialisation import untouched_rows
from vqdoctor.metrics.levels import Branches, branches, hourglass, measure_levels, measure_tree
from vqdoctor.metrics.measured import Measured
from vqdoctor.metrics.neighbours import nearest_others
from vqdoctor.metrics.page import NEEDS, MetricPage
from vqdoctor.metrics.registry import METRICS, metric, metrics
from vqdoctor.metrics.richness import expected_used, rarefied, rows_to_call_dead, unseen_rate_upper
from vqdoctor.metrics.rows import earlier_twin, row_norms, zero_rows
from vqdoctor.metrics.translate import translate_level, translate_quantizer
from vqdoctor.metrics.usage import VERDICTS, assigned, code_verdicts, counts_of, measure_soft_usage, measure_usage
from vqdoctor.metrics.views import pca_map

__all__ = [
    "METRICS", "NEEDS", "VERDICTS", "BatchMeans", "Branches", "IdTree", "Measured", "MetricPage", "Sizes", "assigned",
    "batch_statistics", "branches", "code_verdicts", "counts_from", "counts_of", "earlier_twin", "ema_life", "expected_excess",
    "expected_used", "fullest_path", "hits_only", "hourglass", "join_trees", "measure_agreement", "measure_collisions",
    "measure_distortion", "measure_ema", "measure_geometry", "measure_illusion", "measure_levels", "measure_match",
    "measure_soft_usage", "measure_tree", "measure_usage", "metric", "metrics", "nearest_others", "pca_map", "rarefied",
    "row_norms", "rows_to_call_dead", "threshold_feasibility", "translate_level", "translate_quantizer", "tree_of",
    "unseen_rate_upper", "untouched_rows", "zero_rows",
]  # fmt: skip
