"""What decides how a `Trainer` trains, whatever the network and the data."""

import dataclasses
from dataclasses import dataclass, field
from typing import Any

from conductance.errors import InputError
from conductance.runs.config import DataConfig, OptimizerConfig, Precision, ProtocolConfig, RunConfig


@dataclass(frozen=True)
class TrainingConfig:
    """How to train. All of it is recorded in the run's folder, if there is one.

    Attributes:
        epochs: passes over the training data (protocol ``paper``: at most).
        batch_size: examples in a batch, on each process. A `DataLoader` has its own.
        seed: decides the order of the examples, and what the network draws while it trains (dropout). It does not
            decide the weights at the start, which are the network's when it is handed over.
        precision: mixed precision: "no" (float32 throughout), "bf16", or "fp16" on a GPU.
        accumulate: batches whose gradients make one step.
        optimizer: the rule by which weights move, unless the `Trainer` is given an optimizer.
        protocol: how the learning rate changes, and when training stops.
        workers: processes that load the examples of a torch `Dataset`; 0: the training process does.
        name: what the run is called in tables.

    Raises:
        UnknownNameError: a name that does not exist.
        InputError: a number out of its range.
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
        RunConfig(  # checks all that the two have in common
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
        """How a complete run is trained."""
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
