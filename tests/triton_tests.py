"""What tests of Triton's kernels share: where they run, and how near is near."""

import torch

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
F32, BF16 = torch.float32, torch.bfloat16
EPS = {torch.float64: 1e-14, F32: 2e-6, torch.float16: 2e-3, BF16: 1.6e-2}


def close(found, wanted, eps, least=1e-3):
    """Near in the largest norm, relative to the largest value, or to ``least``."""
    found, wanted = found.detach().double(), wanted.detach().double()
    assert found.shape == wanted.shape
    if wanted.numel():
        scale = max(least, float(wanted.abs().max()))
        assert float((found - wanted).abs().max()) <= eps * scale
