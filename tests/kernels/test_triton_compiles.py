"""Triton's kernels become code for GPUs, which takes none: tensor cores multiply, loads are 16 bytes wide."""

import importlib.util
import json
import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="Triton is not installed")

PROGRAM = """
import json, re
import torch, triton, triton.language as tl
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from conductance.kernels.gpu import average, product

F32 = "*fp32"

def compiled(kernel, capability, types, constants, **options):
    names = kernel.arg_names
    signature = {name: "constexpr" if name in constants else types.get(name, "i32") for name in names}
    sixteen = [i for i, name in enumerate(names) if name not in constants and name != "blocks"]
    attributes = {(i,): [["tt.divisibility", 16]] for i in sixteen}
    source = ASTSource(kernel, signature, {(names.index(k),): v for k, v in constants.items()}, attributes)
    code = triton.compile(source, target=GPUTarget("cuda", capability, 32), options=options).asm["ptx"]
    narrow = len(re.findall(r"ld[.]global[.]b(?:16|32)", code))
    return {"tensor cores": len(re.findall("mma.sync|wgmma.mma", code)), "wide": code.count("ld.global.v4"),
            "narrow": narrow}

def average_of(kernel, capability, kind, last):
    tile_p, tile_c = average._tile(64, 1024, last)
    tensors = dict.fromkeys(("rest", "z", "total", "grad", "to_rest"), kind)
    tensors |= dict.fromkeys(("shared", "common", "leak", "to_shared"), F32)
    axis = "c" if last else "p"
    one = {name: 1 for name in kernel.arg_names if name in (f"rest_{axis}", f"in_{axis}", f"out_{axis}")}
    flags = {"RECTIFY": True, "HAS_SHARED": False, "HAS_LEAK": False, "KEEPS_TOTAL": True, "SHARED": 0}
    flags = {name: value for name, value in flags.items() if name in kernel.arg_names}
    shape = {"SUM": tl.float32, "TILE_P": tile_p, "TILE_C": tile_c}
    return compiled(kernel, capability, tensors, {**one, **flags, **shape})

def product_of(capability, kind, tile):
    half = kind == "*bf16"
    constants = {"g_column": 1, "RECTIFY": True, "PRECISION": "tf32", "TOGETHER": 8,
                 "FACTOR": tl.bfloat16 if half else tl.float32,
                 "TILE_M": tile.rows, "TILE_N": tile.units, "TILE_K": tile.synapses}
    types = {"x": kind, "z": kind, "total": kind, "g": F32, "common": F32, "leak": F32}
    return compiled(product._product_kernel, capability, types, constants, num_stages=3)

found = {}
for capability in (80, 90):
    for kind in (F32, "*bf16"):
        found[f"product {capability} {kind}"] = product_of(capability, kind, product.SMALL)
        if capability == 90:
            for kernel, last in ((average._average_kernel, kind == F32), (average._gradient_kernel, kind != F32)):
                found[f"{kernel.__name__} {kind}"] = average_of(kernel, capability, kind, last)
print(json.dumps(found))
"""


def test_every_kernel_compiles_for_gpus_that_there_are(tmp_path):
    environment = {**os.environ, "TRITON_INTERPRET": "0", "TRITON_CACHE_DIR": str(tmp_path)}
    ran = subprocess.run([sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr[-2000:]
    found = json.loads(ran.stdout)
    assert len(found) == 8
    for name, code in found.items():
        if name.startswith("product"):
            assert code["tensor cores"] > 0, name
        else:
            assert code["wide"] > code["narrow"], name
