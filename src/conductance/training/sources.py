"""The data of a training, in batches: training, validation and test data."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from conductance.data import Dataset, DeviceLoader, Images, Preprocessing
from conductance.data.batches import Batches, as_batches
from conductance.data.order import EpochOrder
from conductance.nested import Nested, as_tensors, length_of, take, to_device
from conductance.training.config import TrainingConfig
from conductance.training.evaluation import EVALUATION_BATCH
from conductance.training.processes import Processes

SMALL_IMAGE = 3 * 64 * 64
"""Values of an image that is evaluated in batches of `EVALUATION_BATCH`, whatever the batches of training."""


class Sources:
    """All data of a training, in batches.

    Args:
        data: the training data.
        validation: the validation data, or None.
        test: the test data, or None.
        config: gives the batch size, the seed of the order and the number of loader processes.
        network: the network; its floating-point type is that of numpy data.
        preprocessing: of images: a kind, or a fitted `Preprocessing`.
        processes: those that share the data; they give the device, too.

    Attributes:
        name: name of the data set, if it has one.
        train: this process's batches of training data.
        evaluated: its batches of what is evaluated after each epoch, under the names "validation" and "test".
        test: batches of all test data, or None.
        preprocessing: converts images to the network's input; None if the training data are not images.

    Raises:
        InputError: the data cannot be used.
    """

    def __init__(
        self,
        data: Any,
        validation: Any,
        test: Any,
        config: TrainingConfig,
        network: nn.Module,
        preprocessing: str | Preprocessing,
        processes: Processes,
    ) -> None:
        self.name = "own"
        if isinstance(data, Dataset):
            self.name = data.name
            validation = data.validation if validation is None else validation
            test = data.test if test is None else test
            data = data.train
        self.config, self.device, self._processes = config, processes.device, processes
        parameter = next((parameter for parameter in network.parameters() if parameter.is_floating_point()), None)
        self.dtype = torch.get_default_dtype() if parameter is None else parameter.dtype
        self._kind = preprocessing if isinstance(preprocessing, str) else preprocessing.kind
        self.preprocessing = self._fitted(preprocessing, data)
        # BatchNorm learns nothing from one example
        least = 2 if any(isinstance(module, _BatchNorm) for module in network.modules()) else 0
        self.train = self._batches(data, config.batch_size, shuffle=True, shared=True, least=least)
        kinds = {kind: data for kind, data in (("validation", validation), ("test", test)) if data is not None}
        whole = {kind: self.batches(data) for kind, data in kinds.items()}
        self.evaluated = {kind: self._shared(data, whole[kind]) for kind, data in kinds.items()}
        self.test = whole.get("test")

    def batches(self, data: Any) -> Batches:
        """Batches of all data, for an evaluation, in order."""
        if isinstance(data, Dataset):
            data = data.test
        return self._batches(data, self._evaluation_batch(data), shuffle=False, shared=False)

    def _shared(self, data: Any, whole: Batches) -> Batches:
        """This process's share of batches for an evaluation."""
        if self._processes.count == 1 or (isinstance(data, DataLoader) and len(data) < self._processes.count):
            return whole  # where every process evaluates all of them, the means are the same
        if isinstance(whole, DeviceLoader):  # without another copy of the images
            return whole.shared(self._processes.rank, self._processes.count)
        return self._batches(data, self._evaluation_batch(data), shuffle=False, shared=True)

    def inputs(self, inputs: Any) -> Iterator[Nested]:
        """Batches of inputs, without targets, on the device."""
        if isinstance(inputs, (Images, Dataset, DeviceLoader, DataLoader, TorchDataset)):
            yield from (to_device(batch[0], self.device) for batch in self.batches(inputs))
            return
        arrays = as_tensors(inputs, self.dtype)
        for rows in torch.arange(length_of(arrays, "inputs")).split(self._evaluation_batch(inputs)):
            yield to_device(take(arrays, rows), self.device)

    def _evaluation_batch(self, data: Any) -> int:
        """Examples in a batch of an evaluation. Without gradients there is memory for more than in training."""
        if isinstance(data, Images) and data.pixels[0].numel() <= SMALL_IMAGE:
            return max(self.config.batch_size, EVALUATION_BATCH)
        return max(self.config.batch_size, min(EVALUATION_BATCH, 4 * self.config.batch_size))

    def _batches(self, data: Any, batch_size: int, *, shuffle: bool, shared: bool, least: int = 0) -> Batches:
        rank, count = (self._processes.rank, self._processes.count) if shared else (0, 1)
        if isinstance(data, DeviceLoader):
            loader = data.to(self.device)
            is_part = count == 1 and loader.order.world_size > 1  # as its maker wants it
            return loader if is_part else loader.shared(rank, count, least)

        def order(length: int) -> EpochOrder:
            alone = EpochOrder(length, batch_size, shuffle=shuffle, seed=self.config.seed)
            return alone.shared(rank, count, least)

        return as_batches(
            data,
            order,
            preprocessing=self._preprocessing_of(data),
            device=self.device,
            dtype=self.dtype,
            workers=self.config.workers,
            rank=rank,
            world_size=count,
            seed=self.config.seed,
        )

    def _fitted(self, preprocessing: str | Preprocessing, data: Any) -> Preprocessing | None:
        """The preprocessing that is fitted to the training images; None if there are no images."""
        if isinstance(preprocessing, Preprocessing):
            return preprocessing.to(self.device)
        if isinstance(data, DeviceLoader) and isinstance(data.preprocessing, Preprocessing):
            return data.preprocessing.to(self.device)
        return Preprocessing.fit(preprocessing, data.pixels).to(self.device) if isinstance(data, Images) else None

    def _preprocessing_of(self, data: Any) -> Preprocessing:
        """The preprocessing of the training images; without those, one that is fitted to these images."""
        if self.preprocessing is not None:
            return self.preprocessing
        if isinstance(data, Images):
            return Preprocessing.fit(self._kind, data.pixels).to(self.device)
        return Preprocessing("unit", channels=1)
