"""Made-up run folders in the layout that training writes: material for tests, never results."""

import json
from pathlib import Path
from typing import Any

import numpy as np

LAYERS = {
    "cnn": (("hidden.0", 32), ("hidden.1", 64), ("hidden.2", 128), ("readout", 10)),
    "mlp": (("hidden.0", 256), ("hidden.1", 256), ("readout", 10)),
}
CEILING = {"affine": 98.4, "cwa": 97.6, "cwa_bn": 98.1}


def write_run(
    folder: Path,
    *,
    dataset: str = "digits",
    architecture: str = "cnn",
    family: str = "cwa",
    name: str | None = None,
    seed: int = 0,
    epochs: int = 20,
    done: int | None = None,
    **summary: Any,
) -> Path:
    """One run folder, unfinished where `done` epochs are fewer than `epochs`; `summary` overrides its own."""
    rng = np.random.default_rng([seed, len(family), len(architecture)])
    done = epochs if done is None else done
    config = {
        "name": name or f"{dataset}-{architecture}-{family}",
        "seed": seed,
        "epochs": epochs,
        "model": {"architecture": architecture, "family": family},
        "data": {"dataset": dataset},
        "optimizer": {"name": "adam", "learning_rate": 0.001},
    }
    metrics = [_epoch(epoch, CEILING.get(family, 97.0), rng) for epoch in range(1, done + 1)]
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in metrics))
    if done == epochs:
        (folder / "summary.json").write_text(json.dumps(_summary(config, metrics) | summary))
        if family.startswith("cwa") and architecture in LAYERS:
            layers = [_layer(*layer, rng) for layer in LAYERS[architecture]]
            (folder / "internals.json").write_text(json.dumps({"images": 500, "layers": layers}))
    return folder


def write_study(folder: Path, epochs: int = 20) -> Path:
    """Two architectures, three families, three seeds."""
    for architecture in LAYERS:
        for family in CEILING:
            for seed in range(3):
                write_run(
                    folder / architecture / f"{family}-{seed}",
                    architecture=architecture,
                    family=family,
                    seed=seed,
                    epochs=epochs,
                )
    return folder


def _epoch(epoch: int, ceiling: float, rng: np.random.Generator) -> dict[str, Any]:
    learnt = 1 - np.exp(-epoch / 3)
    test = ceiling * learnt + rng.normal(0, 0.5)
    train = min(100.0, 100 * learnt + rng.normal(0, 0.2))
    return {
        "epoch": epoch,
        "train_loss": 2.3 / epoch,
        "train_accuracy": train,
        "validation_accuracy": None,
        "test_loss": 2.4 / epoch,
        "test_accuracy": test,
        "learning_rate": 0.001,
        "seconds": 1.3,
    }


def _summary(config: dict[str, Any], metrics: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        **{key: config[key] for key in ("name", "seed", "epochs")},
        **config["model"],
        **config["data"],
        "seconds": 1.3 * len(metrics),
        "test_accuracy": metrics[-1]["test_accuracy"],
        "best_test_accuracy": max(line["test_accuracy"] for line in metrics),
        "train_accuracy": metrics[-1]["train_accuracy"],
        "validation_accuracy": None,
        "parameters": 54_321,
        "versions": {"conductance": "0.1.0", "torch": "2.13.0", "python": "3.12.1"},
        "hardware": {"device": "cpu", "cpu": "Example 3000", "threads": 2},
        "git_commit": "0123456789abcdef0123456789abcdef01234567",
        "command": f"conductance train {config['name']} --seed {config['seed']}",
        "config": config,
    }


def _layer(name: str, units: int, rng: np.random.Generator) -> dict[str, Any]:
    means = rng.gamma(6, 1.5, (2, 1, units))
    E, I = rng.gamma(4, means / 4, (2, 200, units))
    z = (E - I) / (E + I)
    p = np.maximum(z, 0)
    return {
        "name": name,
        "kind": "CWALinear",
        "units": units,
        "excitatory_conductance": _histogram(E, np.geomspace(1e-3, 1e2, 51)),
        "inhibitory_conductance": _histogram(I, np.geomspace(1e-3, 1e2, 51)),
        "z": _histogram(z, np.linspace(-1, 1, 61)),
        "p": _histogram(p, np.linspace(0, 1, 61)),
        "excitation": E.mean(axis=0).tolist(),
        "inhibition": I.mean(axis=0).tolist(),
        "active_fraction": float((z > 0).mean()),
    }


def _histogram(values: np.ndarray, edges: np.ndarray) -> dict[str, list[float]]:
    counts, _ = np.histogram(values.clip(edges[0], edges[-1]), edges)
    return {"edges": edges.tolist(), "counts": counts.tolist()}
