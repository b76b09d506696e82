"""Treatments are tested on the layouts' synthetic checkpoints."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "layouts"))
