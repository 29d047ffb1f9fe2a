"""Models sharded over two processes learn as whole ones do. Both processes run this file as a script."""

import copy
import warnings

import pytest
import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.checkpoint.state_dict import get_optimizer_state_dict, set_optimizer_state_dict
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FullyShardedDataParallel, fully_shard
from torch.distributed.tensor import Replicate, Shard, distribute_tensor

import several_processes
from conductance import init
from conductance.errors import InputError
from conductance.nn import CWAConv2d, CWALinear
from conductance.optim import OPTIMIZERS, ConductanceOptimizer, Homeostasis, create_optimizer

PROCESSES = 2


def test_sharded_models_learn_as_whole_ones_do():
    """Two processes, whose start takes longest: some 6 seconds."""
    several_processes.run([__file__], PROCESSES)


def network():
    torch.manual_seed(0)
    options = {"nonnegative": "clamped", "activation": "relu", "learn_resting": True}
    return nn.Sequential(
        CWAConv2d(2, 5, 3, **options),  # five units do not divide by two processes
        nn.Flatten(),
        CWALinear(45, 6, **options),
        nn.Linear(6, 3),
    )


def step(model, optimizer, images):
    optimizer.zero_grad()
    model(images).square().mean().backward()
    optimizer.step()


def check_same(whole, sharded):
    for one, other in zip(whole.parameters(), sharded.parameters(), strict=True):
        torch.testing.assert_close(other.full_tensor().detach(), one.detach())


def check_fully_shard(rank, mesh):
    batches = torch.rand(4, 2 * PROCESSES, 2, 5, 5, generator=torch.Generator().manual_seed(1))
    for name in OPTIMIZERS:
        whole, sharded = network(), network()
        for layer in (sharded[0], sharded[2]):
            fully_shard(layer, mesh=mesh)
        fully_shard(sharded, mesh=mesh)
        options = {"leak_lr": 0.01, "centered": True, "example": batches[0, :1]}
        sharded(batches[0])  # after which the parameters of the whole model are still gathered
        optimizers = [create_optimizer(model, name, **options) for model in (whole, sharded)]
        for model, optimizer in zip((whole, sharded), optimizers, strict=True):
            Homeostasis(optimizer, model, 0.5)
        for number, images in enumerate(batches):
            if number == 2:  # as a checkpoint would
                state = copy.deepcopy(get_optimizer_state_dict(sharded, optimizers[1]))
                set_optimizer_state_dict(sharded, optimizers[1], state)
            step(whole, optimizers[0], images)
            step(sharded, optimizers[1], images.chunk(PROCESSES)[rank])
        check_same(whole, sharded)


def check_placements(mesh):
    generator = torch.Generator().manual_seed(2)
    start, gradient = torch.rand(6, 8, generator=generator), torch.randn(6, 8, generator=generator)
    for rule in OPTIMIZERS:
        moved = []
        for placement in (None, Shard(0), Shard(1), Replicate()):
            whole = [start, gradient]
            parts = whole if placement is None else [distribute_tensor(part, mesh, [placement]) for part in whole]
            parameter = nn.Parameter(parts[0].clone())
            parameter.grad = parts[1].clone()
            optimizer = ConductanceOptimizer([parameter], 0.1, rule=rule, block=4, kinds=(4, 4))
            for _ in range(2):
                optimizer.step()
            moved.append(parameter.detach() if placement is None else parameter.full_tensor().detach())
        for other in moved[1:]:
            torch.testing.assert_close(other, moved[0])


def check_initialization(mesh):
    model = fully_shard(network(), mesh=mesh)
    before = [parameter.full_tensor().clone() for parameter in model.parameters()]
    images = torch.rand(4, 2, 5, 5)
    with pytest.raises(InputError, match="initialize it before fully_shard"):
        model[0].reset_parameters()
    with pytest.raises(InputError, match="initialize it before fully_shard"):
        model[0].set_conductance(1.0)
    model(images)
    for start in (
        lambda: init.initialize(model, images),
        lambda: init.balance_(model, images),
        lambda: init.scale_leak_(model, images, 0.1),
        lambda: init.twin_(model),
    ):
        with pytest.raises(InputError, match="initialize it before fully_shard"):
            start()
    model.reshard()
    for parameter, value in zip(model.parameters(), before, strict=True):
        assert torch.equal(parameter.full_tensor(), value)


def check_flattened():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = FullyShardedDataParallel(network(), device_id=torch.device("cpu"))
    with pytest.raises(InputError, match="fully_shard"):
        create_optimizer(model)


def main():
    torch.set_default_dtype(torch.float64)
    dist.init_process_group("gloo")
    mesh = init_device_mesh("cpu", (PROCESSES,))
    check_fully_shard(dist.get_rank(), mesh)
    check_placements(mesh)
    check_initialization(mesh)
    check_flattened()
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
