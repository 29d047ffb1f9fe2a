"""What TensorBoard shows of a training: curves, conductances, and the balance of excitation and inhibition."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from conductance.analysis.observe import Observation, observe
from conductance.checked import checked, require_counts
from conductance.errors import InputError
from conductance.extras import import_extra
from conductance.nested import to_device
from conductance.nn import ConductanceLayer
from conductance.runs.folder import RunFolder

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

    from conductance.training.trainer import Trainer


@checked
class TensorBoard:
    """A callback that writes events for TensorBoard after each epoch.

    >>> Trainer(network, data, folder="runs/mine", callbacks=[TensorBoard()]).fit()  # doctest: +SKIP

    ``tensorboard --logdir runs`` shows, for all runs in the folder:

    * ``loss/train``, ``accuracy/test`` and so on, the learning rate and the seconds of each epoch;
    * for each conductance layer histograms of its excitatory and inhibitory conductances G;
    * the same for the balance (E' - I')/(E' + I') of its units, in [-1, 1], on the first batch of the test data or,
      without them, of the training data; its mean over the units; and the share of open units, p > 0.

    Of a sharded network, whose layers no process has whole, there are only the curves.

    A training that goes on after an interruption replaces the events of epochs that were not kept.

    Args:
        folder: where the events go; by default ``tensorboard`` in the folder of the run.
        every: epochs from one look at the layers to the next. The curves have every epoch.

    Raises:
        InputError: `every` is less than 1; or, when training starts, there is no folder.
        ConductanceError: when training starts, the package tensorboard is missing.
    """

    def __init__(self, folder: str | Path | None = None, *, every: int = 1) -> None:
        require_counts(every=every)
        self.folder = None if folder is None else Path(folder)
        self.every = every
        self._writer: SummaryWriter | None = None
        self._batch: Any = None

    def on_start(self, trainer: "Trainer") -> None:
        """Open the file of events."""
        if not trainer.is_main_process:
            return
        import_extra("tensorboard", "to write events for TensorBoard", "tensorboard")
        from torch.utils.tensorboard import SummaryWriter

        folder = self.folder or (None if trainer.folder is None else RunFolder(trainer.folder).events_folder)
        if folder is None:
            raise InputError("TensorBoard needs a folder: TensorBoard(folder), or Trainer(..., folder=...)")
        self._writer = SummaryWriter(str(folder), purge_step=len(trainer.history) + 1)
        self._batch = _first_batch(trainer)

    def on_epoch(self, trainer: "Trainer") -> None:
        """Write the metrics of the epoch and, every so often, the state of the layers."""
        if self._writer is None:
            return
        for name, value in trainer.history[-1].items():
            if name != "epoch":
                self._writer.add_scalar(_tag(name), value, trainer.epoch)
        if self._batch is not None and trainer.epoch % self.every == 0:
            seen = {each.name: each for each in observe(trainer.network, self._batch)}  # of interneurons the last slice
            for each in seen.values():
                _write_layer(self._writer, each, trainer.epoch)
        self._writer.flush()

    def on_end(self, _: "Trainer") -> None:
        """Close the file."""
        if self._writer is not None:
            self._writer.close()
        self._writer = self._batch = None


def _write_layer(writer: "SummaryWriter", seen: Observation, epoch: int) -> None:
    layer, E, I = seen.layer, _unit_means(seen.excitation), _unit_means(seen.inhibition)
    G = layer.conductance.detach()
    excitatory = (layer.presynaptic.per_synapse(G) > 0).expand_as(G)
    for kind, some in (("excitatory", G[excitatory]), ("inhibitory", G[~excitatory])):
        if some.numel():
            writer.add_histogram(f"conductance/{seen.name}/{kind}", some.float(), epoch)
    balance = (E - I) / (E + I).clamp(min=torch.finfo(E.dtype).tiny)
    writer.add_histogram(f"balance/{seen.name}", balance, epoch)
    writer.add_scalar(f"mean_balance/{seen.name}", balance.mean(), epoch)
    writer.add_scalar(f"open_units/{seen.name}", (seen.p > 0).float().mean(), epoch)


def _unit_means(values: Tensor) -> Tensor:
    """The mean of each unit over examples and positions."""
    return values.double().transpose(0, 1).flatten(1).mean(1)


def _first_batch(trainer: "Trainer") -> Any:
    """A batch to look at the layers with; None where there are no layers, or none can be had without an epoch begun."""
    if trainer.sharded or not any(isinstance(layer, ConductanceLayer) for layer in trainer.network.modules()):
        return None
    data = trainer.data.train if trainer.data.test is None else trainer.data.test
    batch = data.first()
    return None if batch is None else to_device(batch[0], trainer.device)


def _tag(name: str) -> str:
    """``train_loss`` as ``loss/train``, so that TensorBoard draws what belongs together side by side.

    >>> _tag("train_loss"), _tag("learning_rate")
    ('loss/train', 'learning_rate')
    """
    kind, _, quantity = name.partition("_")
    return f"{quantity}/{kind}" if quantity in ("loss", "accuracy") else name
