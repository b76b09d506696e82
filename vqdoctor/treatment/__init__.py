"""Treatment: a plan for a sick codebook, what it would do, the proof that it was done; and two checkpoints side by side.

plan → (somebody writes `Plan.changes`) → verify. Everything is a value: arrays in, arrays and numbers out; files are the business
of others. The parts: `request` (what may be asked) · `preflight` (whether it can work) · `cells`, `placement`, `books`, `matching`
(where codes go) · `descent`, `byfeatures`, `dataless` (level by level through a quantiser) · `state` (counts, sums, flags, moments)
· `patched`, `rounding` (the file as it will read) · `preview`, `survival`, `outlook` (what it does) · `plan` · `verify` · `compare`
· `module` · `together`.

The command and the public function are called `repair`.
"""

from vqdoctor.treatment.compare import Comparison, LevelComparison, QuantizerComparison, compare
from vqdoctor.treatment.module import repair_module_
from vqdoctor.treatment.patched import Patched, Undo
from vqdoctor.treatment.plan import LevelPlan, Plan, held_out, plan, refuse_undoable
from vqdoctor.treatment.preview import Flips
from vqdoctor.treatment.request import TREATMENTS, Treatment, TreatmentRequest, treatment
from vqdoctor.treatment.together import told_together
from vqdoctor.treatment.verify import verify

__all__ = [
    "TREATMENTS", "Comparison", "Flips", "LevelComparison", "LevelPlan", "Patched", "Plan", "QuantizerComparison", "Treatment",
    "TreatmentRequest", "Undo", "compare", "held_out", "plan", "refuse_undoable", "repair_module_", "told_together", "treatment",
    "verify",
]  # fmt: skip
