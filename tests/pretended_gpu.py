"""A GPU that is only pretended: its tensors hold their numbers on the CPU, and refuse to be waited for.

What would fail on a GPU fails here: an operation on tensors of two devices, and, inside `no_waiting`, whatever makes
the host wait until the device is done: ``item``, a copy to the CPU, a result whose size depends on numbers.
"""

from contextlib import contextmanager

import torch
from torch.overrides import TorchFunctionMode
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.backend_registration import _DummyBackendModule, _setup_privateuseone_for_python_backend


class _Backend(_DummyBackendModule):
    """Torch takes the device for a backend that was written in Python."""

    def get_amp_supported_dtype(self):
        return [torch.bfloat16]


_setup_privateuseone_for_python_backend("pretended", _Backend())
GPU = torch.device("pretended", 0)
aten = torch.ops.aten

# Whose result the host has to know before it can go on.
WAITS = {
    aten._local_scalar_dense.default,
    aten.equal.default,
    aten.is_nonzero.default,
    aten.nonzero.default,
    aten.masked_select.default,
    aten._unique2.default,
    aten.unique_consecutive.default,
}
COPIES = (aten.copy_.default, aten._to_copy.default)


class WaitsError(RuntimeError):
    """The host would wait for the GPU."""


class _Pretended(torch.Tensor):
    """Of the meta device to torch, of a GPU to who asks, with ``held`` on the CPU."""

    @staticmethod
    def __new__(cls, real):
        with torch._C._DisableTorchDispatch():
            shell = torch.empty_strided(real.shape, real.stride(), dtype=real.dtype, device="meta")
        made = torch.Tensor._make_subclass(cls, shell, False, dispatch_device=True, device_for_backend_keys=GPU)
        made.held = real
        return made

    @property
    def device(self):
        return GPU

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        return _run(func, args, kwargs or {})


class _FromNumbers(TorchFunctionMode):
    """Torch makes a tensor of numbers where no mode sees it; here it is made on the CPU, then copied."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        if func not in (torch.tensor, torch.as_tensor) or kwargs.get("device") is None:
            return func(*args, **kwargs)
        device = kwargs.pop("device")
        if args and isinstance(args[0], torch.Tensor):
            return args[0].to(device, kwargs.get("dtype"))
        return func(*args, **kwargs, device="cpu").to(device)


class PretendedGPU(TorchDispatchMode):
    """While it is on, what is made on a GPU is made, in truth, on the CPU."""

    def __enter__(self):
        self.from_numbers = _FromNumbers()
        self.from_numbers.__enter__()
        return super().__enter__()

    def __exit__(self, *error):
        super().__exit__(*error)
        self.from_numbers.__exit__(*error)

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        return _run(func, args, kwargs or {})


_waiting = {"allowed": True}


@contextmanager
def no_waiting():
    """Whatever waits for the GPU is an error."""
    _waiting["allowed"] = False
    try:
        yield
    finally:
        _waiting["allowed"] = True


def _run(func, args, kwargs):
    if func is torch.ops.prim.device.default:
        return GPU
    flat, spec = pytree.tree_flatten((args, kwargs))
    given = [each for each in flat if isinstance(each, _Pretended)]
    asked = kwargs.get("device")
    on_gpu = bool(given) if asked is None else torch.device(asked).type == GPU.type
    if not _waiting["allowed"] and _waits(func, flat, given, on_gpu):
        raise WaitsError(f"{func} makes the host wait for the GPU")
    _check_devices(func, flat, given)
    args, kwargs = pytree.tree_unflatten([_real(each) for each in flat], spec)
    if asked is not None:
        kwargs = {**kwargs, "device": torch.device("cpu")}
    results = func(*args, **kwargs)
    return _wrapped(results, flat) if on_gpu else results


def _waits(func, flat, given, on_gpu):
    """Whether the host needs to know numbers, or copies some from one device to the other (from plain memory)."""
    if func in COPIES:
        return on_gpu != all(isinstance(each, _Pretended) for each in flat if isinstance(each, torch.Tensor))
    return bool(given) and (func in WAITS or not on_gpu)


def _check_devices(func, flat, given):
    """Numbers of no axis may come from the CPU, and copies go between devices; nothing else mixes them."""
    if not given or func in COPIES:
        return
    others = [
        each for each in flat if isinstance(each, torch.Tensor) and not isinstance(each, _Pretended) and each.ndim
    ]
    if others:
        raise RuntimeError(f"{func}: expected all tensors to be on one device, but found some on a GPU and some on cpu")


def _real(value):
    if isinstance(value, _Pretended):
        return value.held
    return torch.device("cpu") if isinstance(value, torch.device) else value


def _wrapped(results, flat):
    """Results as tensors of the GPU; what was changed in place is the same tensor as before."""
    known = {id(each.held): each for each in flat if isinstance(each, _Pretended)}
    wrap = lambda value: known.get(id(value)) if id(value) in known else _Pretended(value)  # noqa: E731
    return pytree.tree_map_only(torch.Tensor, wrap, results)
