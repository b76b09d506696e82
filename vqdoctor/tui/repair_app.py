"""`vqdoctor repair --tui` as a program: the repair screen alone."""

from __future__ import annotations

from vqdoctor.tui.base import BaseApp
from vqdoctor.tui.repair_screen import RepairScreen


class RepairApp(BaseApp):
    """One checkpoint to treat. options: as for `BaseApp`."""

    TITLE = "vqdoctor repair"

    def __init__(self, path: str, features: str | None, **options: object) -> None:
        super().__init__(**options)  # type: ignore[arg-type]
        self.repairs = RepairScreen(path, features)

    def on_mount(self) -> None:
        """Its only screen."""
        self.push_screen(self.repairs)


def show(path: str, features: str | None, **options: object) -> int:
    """Shows until the user leaves; the exit status.

    Raises:
        KeyboardInterrupt: the user interrupted it. VqdoctorError: the checkpoint cannot be read.
    """
    app = RepairApp(path, features, **options)
    if app.run() == 130:
        raise KeyboardInterrupt
    if app.repairs.error is not None:
        raise app.repairs.error
    return 0
