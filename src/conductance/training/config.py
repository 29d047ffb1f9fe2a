"""The settings of a `Trainer`."""

import dataclasses
from dataclasses import dataclass, field
from typing import Any

from conductance.checked import checked
from conductance.errors import InputError
from conductance.runs.config import DataConfig, OptimizerConfig, Precision, ProtocolConfig, RunConfig


@checked
@dataclass(frozen=True)
class TrainingConfig:
    """How to train, whatever the network and the data.

    Attributes:
        epochs: passes over the training data (protocol ``paper``: at most).
        batch_size: examples in a batch, on each process. A `DataLoader` has its own.
        seed: of the order of the examples, and of the random numbers of the network (dropout). The initial weights do
            not depend on it: they are those that the network has when training starts.
        precision: mixed precision: "no" (float32 throughout), "bf16", or "fp16" on a GPU.
        accumulate: number of batches whose gradients make one step.
        optimizer: the optimizer, unless the `Trainer` is given one.
        protocol: the schedule of the learning rate, and when training stops.
        workers: number of processes that load the examples of a torch `Dataset`; 0 to load them in this process.
        name: the name of the run in tables.

    Raises:
        UnknownNameError: a name does not exist.
        InputError: a number is out of range.
    """

    epochs: int = 10
    batch_size: int = 100
    seed: int = 0
    precision: Precision = "no"
    accumulate: int = 1
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    protocol: ProtocolConfig = field(default_factory=ProtocolConfig)
    workers: int = 0
    name: str = "training"

    def __post_init__(self) -> None:
        if self.workers < 0:
            raise InputError(f"workers={self.workers}: must be at least 0")
        RunConfig(  # checks the fields that both have
            self.name,
            self.epochs,
            self.seed,
            self.precision,
            self.accumulate,
            data=DataConfig(batch_size=self.batch_size),
            optimizer=self.optimizer,
            protocol=self.protocol,
        )

    @classmethod
    def of(cls, run: RunConfig) -> "TrainingConfig":
        """The settings with which a complete run is trained."""
        return cls(
            run.epochs,
            run.data.batch_size,
            run.seed,
            run.precision,
            run.accumulate,
            run.optimizer,
            run.protocol,
            name=run.name,
        )

    def to_dict(self) -> dict[str, Any]:
        """As plain values, for JSON."""
        return dataclasses.asdict(self)
