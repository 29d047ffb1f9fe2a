"""The data of a training, in batches: training, validation and test data."""

from collections.abc import Iterator
from typing import Any

import torch
from accelerate import Accelerator
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
        accelerator: gives the device, and this process's part of the training data.

    Attributes:
        name: name of the data set, if it has one.
        train: batches of training data.
        validation: batches of validation data, or None.
        test: batches of test data, or None.
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
        accelerator: Accelerator,
    ) -> None:
        self.name = "own"
        if isinstance(data, Dataset):
            self.name = data.name
            validation = data.validation if validation is None else validation
            test = data.test if test is None else test
            data = data.train
        self.config, self.device = config, accelerator.device
        parameter = next((parameter for parameter in network.parameters() if parameter.is_floating_point()), None)
        self.dtype = torch.get_default_dtype() if parameter is None else parameter.dtype
        self._kind = preprocessing if isinstance(preprocessing, str) else preprocessing.kind
        self.preprocessing = self._fitted(preprocessing, data)
        self.train = self._for_training(data, network, accelerator)
        self.validation = None if validation is None else self.batches(validation)
        self.test = None if test is None else self.batches(test)

    def batches(self, data: Any) -> Batches:
        """Batches for an evaluation, in order. Every process evaluates all of them."""
        if isinstance(data, DeviceLoader):
            return data.to(self.device)
        if isinstance(data, Dataset):
            data = data.test
        return self._as_batches(data, self._evaluation_batch(data), shuffle=False)

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

    def _for_training(self, data: Any, network: nn.Module, accelerator: Accelerator) -> Batches:
        processes = accelerator.num_processes
        if isinstance(data, DeviceLoader):
            loader = data.to(self.device)
            return loader.shared(accelerator.process_index, processes) if processes > 1 else loader
        if isinstance(data, DataLoader) and processes > 1:
            data = accelerator.prepare_data_loader(data, device_placement=False)
        normalizes = any(isinstance(module, _BatchNorm) for module in network.modules())
        return self._as_batches(
            data,
            self.config.batch_size,
            shuffle=True,
            rank=accelerator.process_index,
            world_size=processes,
            normalizes=normalizes,
        )

    def _as_batches(
        self,
        data: Any,
        batch_size: int,
        *,
        shuffle: bool,
        rank: int = 0,
        world_size: int = 1,
        normalizes: bool = False,
    ) -> Batches:
        def order(count: int) -> EpochOrder:
            # all processes need the same number of batches; BatchNorm needs more than one example
            drop_last = world_size > 1 or (normalizes and count % batch_size == 1)
            return EpochOrder(
                count,
                batch_size,
                shuffle=shuffle,
                seed=self.config.seed,
                rank=rank,
                world_size=world_size,
                drop_last=drop_last,
            )

        return as_batches(
            data,
            order,
            preprocessing=self._preprocessing_of(data),
            device=self.device,
            dtype=self.dtype,
            workers=self.config.workers,
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
