"""Progress display: a bar, and a line for each epoch."""

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn


class TrainingProgress:
    """A progress bar with loss, accuracy and remaining time, and a line for each finished epoch.

    Args:
        name: the name of the run.
        total_steps: number of batches of the whole run.
        done: number of batches before a resumed run continues.
        console: where to print; None to print nothing. A file or a pipe gets the lines only.
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
            disable=console is None or not console.is_interactive,  # in a file it would leave a blank line
            transient=True,
        )
        self.task = self.bar.add_task(name, total=total_steps, completed=done, state="")

    def __enter__(self) -> "TrainingProgress":
        self.bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.stop()

    def step(self) -> None:
        """Advance the bar by one batch."""
        self.bar.advance(self.task)

    def show(self, loss: float, accuracy: float | None) -> None:
        """Show loss and accuracy of the epoch so far."""
        so_far = "" if accuracy is None else f"  accuracy {accuracy:5.2f} %"
        self.bar.update(self.task, state=f"loss {loss:.3f}{so_far}")

    def epoch(self, metrics: Mapping[str, Any], epochs: int) -> None:
        """Print the line of a finished epoch: accuracies, or losses if the targets are not classes."""
        if self.console is None:
            return
        parts = [f"epoch {metrics['epoch']:>3}/{epochs}", f"loss {metrics['train_loss']:.4f}"]
        for kind in ("train", "validation", "test"):
            if f"{kind}_accuracy" in metrics:
                parts.append(f"{kind} {metrics[f'{kind}_accuracy']:5.2f} %")
            elif kind != "train" and f"{kind}_loss" in metrics:
                parts.append(f"{kind} loss {metrics[f'{kind}_loss']:.4f}")
        parts.append(f"{metrics['seconds']:.1f} s")
        # soft_wrap keeps it one line in a file or pipe, whatever the width
        self.console.print("  ".join(parts), highlight=False, soft_wrap=True)
