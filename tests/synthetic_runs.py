"""Made-up run folders in the layout that training writes: material for tests, never results."""

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np

from conductance.analysis.internals import EDGES, count_balance

LAYERS = {
    "cnn": (("hidden.0", 32), ("hidden.1", 64), ("hidden.2", 128), ("readout", 10)),
    "mlp": (("hidden.0", 256), ("hidden.1", 256), ("readout", 10)),
}
FIELDS = {"units": 8, "height": 3, "width": 3, "values": base64.b64encode(bytes(range(2 * 8 * 3 * 3))).decode()}
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
    version: str = "0.2.0",
    **summary: Any,
) -> Path:
    """One run folder, unfinished where `done` epochs are fewer than `epochs`; `summary` overrides its own.

    Version 0.1 repeated the config in the summary, and wrote edges beside counts and E' and I' of every unit.
    """
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
        repeated = {"config": config} if version == "0.1.0" else {}
        (folder / "summary.json").write_text(json.dumps(_summary(config, metrics) | repeated | summary))
        if family.startswith("cwa") and architecture in LAYERS:
            write_layer = _layer_of_0_1 if version == "0.1.0" else _layer
            layers = [write_layer(*layer, rng) for layer in LAYERS[architecture]]
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
    }


def _layer(name: str, units: int, rng: np.random.Generator) -> dict[str, Any]:
    values, E, I = _drawn(units, rng)
    counts = {quantity: _counts(values[quantity], edges) for quantity, edges in EDGES.items()}
    return {**_description(name, units, values), **counts, "balance": count_balance(E, I), "fields": FIELDS}


def _layer_of_0_1(name: str, units: int, rng: np.random.Generator) -> dict[str, Any]:
    values, E, I = _drawn(units, rng)
    counted = {quantity: _counts(values[quantity], edges) for quantity, edges in EDGES.items()}
    histograms = {quantity: {"edges": list(EDGES[quantity]), "counts": counts} for quantity, counts in counted.items()}
    return {**_description(name, units, values), **histograms, "excitation": E.tolist(), "inhibition": I.tolist()}


def _description(name: str, units: int, values: dict[str, np.ndarray]) -> dict[str, Any]:
    active = float((values["z"] > 0).mean())
    return {"name": name, "kind": "CWALinear", "units": units, "fan_in": 64, "active_fraction": active}


def _drawn(units: int, rng: np.random.Generator) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
    """Values of each quantity, and each unit's mean E' and I'."""
    means = rng.gamma(6, 1.5, (2, 1, units))
    E, I = rng.gamma(4, means / 4, (2, 200, units))
    z = (E - I) / (E + I)
    values = {"excitatory_conductance": E, "inhibitory_conductance": I, "z": z, "p": np.maximum(z, 0)}
    return values, E.mean(axis=0), I.mean(axis=0)


def _counts(values: np.ndarray, edges: tuple[float, ...]) -> list[int]:
    return np.histogram(values.clip(edges[0], edges[-1]), edges)[0].tolist()
