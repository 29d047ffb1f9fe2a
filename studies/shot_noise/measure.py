"""Is the membrane potential of eq. 1 the mean potential under spike trains? Simulated membranes beside it."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import track
from torch import Tensor

from conductance.biophysics import (
    AMPA,
    GABA_A,
    LEAK,
    TAU_E,
    TAU_I,
    conductance_quantum,
    exponential_synapse,
    fluctuation_shift,
    in_parallel,
    integrate,
    poisson_spikes,
    steady_state,
)
from conductance.files import write_table, write_text
from conductance.runs.provenance import git_commit
from studies.shared.folder import folder_of
from studies.shot_noise.figure import shot_noise_figure

FOLDER = folder_of(__file__)

MEAN_CONDUCTANCES = {"excitation": (20.0, 0.0), "inhibition": (0.0, 20.0), "both": (20.0, 20.0)}
"""Of all excitatory and of all inhibitory synapses together, in nS: the same for any number and rate of them."""
SYNAPSES = (10, 30, 100, 300, 1000)
RATES = (1.0, 3.0, 10.0, 30.0, 100.0)

RATE_MAX = 100.0  # spikes per second
CAPACITANCE = 200.0  # pF
RESTING_CONDUCTANCE = 10.0  # nS, so 20 ms at rest
REVERSAL_POTENTIALS = torch.tensor([AMPA.reversal_potential, GABA_A.reversal_potential], dtype=torch.float64)
TIME_CONSTANTS = torch.tensor([TAU_E, TAU_I], dtype=torch.float64)

TIME_STEP = 0.1  # ms
CHUNK = 250  # steps at a time
SETTLING = 8  # chunks, not counted
MEMBRANES = 40  # of each case


@dataclass(frozen=True)
class Case:
    """A membrane's input: its kind, the synapses of each sign, and the spikes per second that each receives."""

    input: str
    synapses: int
    rate: float

    @property
    def open_probability(self) -> Tensor:
        """The p of the excitatory and of the inhibitory neurons."""
        return torch.full((2,), self.rate / RATE_MAX, dtype=torch.float64)

    @property
    def conductance(self) -> Tensor:
        """All G of either sign, in nS, as one synapse.

        Independent Poisson trains are one of their summed rate. So K equal synapses of conductance G and greatest
        rate R are one of K G and K R, and no train of a single neuron need be drawn.
        """
        return torch.tensor(MEAN_CONDUCTANCES[self.input], dtype=torch.float64) / self.open_probability

    @property
    def rate_max(self) -> float:
        """All R of either sign, as one synapse."""
        return self.synapses * RATE_MAX

    @property
    def quantum(self) -> Tensor:
        """What a spike opens, in nS."""
        return conductance_quantum(self.conductance, self.rate_max, TIME_CONSTANTS)

    @property
    def eq1(self) -> float:
        """V of eq. 1 in mV."""
        return steady_state(
            self.open_probability,
            self.conductance[None],
            REVERSAL_POTENTIALS,
            resting_conductance=RESTING_CONDUCTANCE,
            resting_potential=LEAK.reversal_potential,
        ).item()

    @property
    def second_order(self) -> float:
        """What the conductances' variance takes the mean of V away from eq. 1, in mV."""
        return fluctuation_shift(
            self.open_probability,
            self.conductance[None],
            REVERSAL_POTENTIALS,
            resting_conductance=RESTING_CONDUCTANCE,
            resting_potential=LEAK.reversal_potential,
            capacitance=CAPACITANCE,
            rate_max=self.rate_max,
            time_constant=TIME_CONSTANTS,
        ).item()


CASES = [Case(*case) for case in product(MEAN_CONDUCTANCES, SYNAPSES, RATES)]


def measure_shot_noise(
    file: Path, cases: Sequence[Case] = CASES, *, seed: int = 0, seconds: float = 5.0, console: Console | None = None
) -> None:
    """Simulate `MEMBRANES` of every case for so many ``seconds`` each, and write one row for each case as CSV.

    Columns: input, synapses (of each sign), rate (spikes/s of each), quantum_e and quantum_i (nS that one spike
    opens), eq1 (mV), shift (of the mean of V from eq. 1), standard_error (of the shift, over the membranes),
    second_order (what `fluctuation_shift` makes of it) and deviation (of V in time) in mV, seconds simulated in all,
    seed, commit, command.
    """
    chunks = SETTLING + math.ceil(1000 * seconds / (CHUNK * TIME_STEP))
    shown = track(range(chunks), "shot noise", console=console, disable=console is None)
    shifts, deviations = simulate_shifts(cases, seed, shown)
    simulated = {
        "seconds": MEMBRANES * round((chunks - SETTLING) * CHUNK * TIME_STEP) / 1000,
        "seed": seed,
        "commit": git_commit(),
        "command": FOLDER.command,
    }
    rows = [
        {
            "input": case.input,
            "synapses": case.synapses,
            "rate": case.rate,
            "quantum_e": _rounded(case.quantum[0]),
            "quantum_i": _rounded(case.quantum[1]),
            "eq1": _rounded(case.eq1),
            "shift": _rounded(shift.mean()),
            "standard_error": _rounded(shift.std() / math.sqrt(MEMBRANES)),
            "second_order": _rounded(case.second_order),
            "deviation": _rounded(deviation.mean()),
            **simulated,
        }
        for case, shift, deviation in zip(cases, shifts.T, deviations.T, strict=True)
    ]
    write_table(file, list(rows[0]), rows)


def simulate_shifts(cases: Sequence[Case], seed: int, chunks: Iterable[int]) -> tuple[Tensor, Tensor]:
    """Simulate for so many ``chunks``, the first `SETTLING` of which do not count.

    The same spikes also drive a membrane whose conductance stays at its mean, and its driving force at that of
    eq. 1. Its mean is known, and is eq. 1; most of what chance does to the one it does to the other, so the mean of
    their difference is the shift, and a hundred times less uncertain than the mean of V.

    Returns:
        The mean shift from eq. 1 and the standard deviation in time of V, in mV, each of shape (membranes, cases).
    """
    generator = torch.Generator().manual_seed(seed)
    eq1, rate_max = torch.tensor([[case.eq1, case.rate_max] for case in cases], dtype=torch.float64).T
    quantum = torch.stack([case.quantum for case in cases])
    p = torch.stack([case.open_probability for case in cases]).expand(MEMBRANES, -1, -1)
    opened = p * torch.stack([case.conductance for case in cases])
    mean_total = RESTING_CONDUCTANCE + opened.sum(-1)
    V = steady = eq1.expand(MEMBRANES, -1)
    sums = torch.zeros(3, *V.shape, dtype=V.dtype)
    for chunk in chunks:
        spikes = poisson_spikes(p, rate_max[:, None], CHUNK, TIME_STEP, generator=generator)
        synaptic, opened = exponential_synapse(quantum * spikes, TIME_CONSTANTS, TIME_STEP, start=opened)
        total, driving = in_parallel(synaptic, REVERSAL_POTENTIALS)
        total, driving = total + RESTING_CONDUCTANCE, driving + RESTING_CONDUCTANCE * LEAK.reversal_potential
        # Spikes lie on the grid of steps and these are the exact means over steps: no accuracy is left to ask for.
        Vs = integrate(V, total, driving, CAPACITANCE, TIME_STEP, accuracy=math.inf)
        steadies = integrate(
            steady,
            mean_total.expand_as(total),
            driving - (total - mean_total) * eq1,
            CAPACITANCE,
            TIME_STEP,
            accuracy=math.inf,
        )
        V, steady = Vs[-1], steadies[-1]
        if chunk >= SETTLING:
            sums += torch.stack(((Vs - steadies).mean(0), Vs.mean(0), Vs.square().mean(0)))
    shift, mean, square = sums / (chunk + 1 - SETTLING)
    return shift, (square - mean.square()).sqrt()


def _rounded(number: Tensor | float) -> float:
    return float(f"{float(number):.4g}")


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and draw everything."""
    FOLDER.parser(__doc__).parse_args(arguments)
    measure_shot_noise(FOLDER.result, console=Console())
    write_text(FOLDER.figure, shot_noise_figure(FOLDER.result))
