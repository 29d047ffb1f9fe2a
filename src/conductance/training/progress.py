"""What a person sees while a run trains."""

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn


class TrainingProgress:
    """A bar over all steps with loss, accuracy and time left, and a line for every finished epoch.

    Args:
        name: the run's name.
        total_steps: batches of the whole run; ``done`` of them before a resumed run goes on.
        done: see there.
        console: where to; None for no output at all.
    """

    def __init__(self, name: str, total_steps: int, done: int, console: Console | None) -> None:
        self.console = console
        self.bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            TextColumn("{task.fields[state]}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=console,
            disable=console is None or not console.is_interactive,  # which would leave a blank line in a file
            transient=True,
        )
        self.task = self.bar.add_task(name, total=total_steps, completed=done, state="")

    def __enter__(self) -> "TrainingProgress":
        self.bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.stop()

    def step(self) -> None:
        """One more batch is done."""
        self.bar.advance(self.task)

    def show(self, loss: float, accuracy: float | None) -> None:
        """The epoch so far."""
        so_far = "" if accuracy is None else f"  accuracy {accuracy:5.2f} %"
        self.bar.update(self.task, state=f"loss {loss:.3f}{so_far}")

    def epoch(self, metrics: Mapping[str, Any], epochs: int) -> None:
        """A line that stays: accuracies, or losses where there are no classes."""
        if self.console is None:
            return
        parts = [f"epoch {metrics['epoch']:>3}/{epochs}", f"loss {metrics['train_loss']:.4f}"]
        for kind in ("train", "validation", "test"):
            if f"{kind}_accuracy" in metrics:
                parts.append(f"{kind} {metrics[f'{kind}_accuracy']:5.2f} %")
            elif kind != "train" and f"{kind}_loss" in metrics:
                parts.append(f"{kind} loss {metrics[f'{kind}_loss']:.4f}")
        parts.append(f"{metrics['seconds']:.1f} s")
        # soft_wrap: one line in a file or pipe, however narrow the terminal is taken to be
        self.console.print("  ".join(parts), highlight=False, soft_wrap=True)
