"""Write results/tables/circuit_claims.md: what the studies of circuits say about the paper's open questions."""

from dataclasses import dataclass
from pathlib import Path

from conductance.files import write_text
from conductance.report.table import markdown_lines
from studies.pooled_circuits.circuits import AT_ONCE, FREE, FREE_POOLED, NONE, SLOW, SLOW_NONE, SYNAPTIC
from studies.recurrence.measure import reported
from studies.rollout import measure as rollout
from studies.rollout.circuits import WITHOUT
from studies.shared.growing import read_rows
from studies.shared.paired import difference, verdicts

ROOT = Path(__file__).parent.parent
TABLE = ROOT / "results" / "tables" / "circuit_claims.md"
VERDICTS = {"better": "supported", "worse": "contradicted", "undecided": "undecided"}


@dataclass(frozen=True)
class Claim:
    """That one condition is right more often than another.

    Attributes:
        question: of the paper.
        study: whose rows these are.
        place: the fields in which both agree.
        better, other: the fields in which they differ.
    """

    question: str
    study: str
    place: dict[str, str]
    better: dict[str, str]
    other: dict[str, str]

    def rows(self, side: dict[str, str]) -> list[dict[str, str]]:
        """The runs of one side; of recurrent networks, those of the settings chosen by validation."""
        rows = read_rows(ROOT / "studies" / self.study / "result.csv")
        if self.study == "recurrence":
            rows = reported(rows)
        wanted = {**self.place, **side}.items()
        return [row for row in rows if wanted <= row.items()]


def claims() -> list[Claim]:
    """All of them."""
    networks = [{"network": network, "data": data} for network in ("FCN", "CNN") for data in ("mnist", "cifar10")]
    even = {"condition": "50:50"}
    found = [Claim("biological valence ratios", "valence", at, {"condition": "80:20"}, even) for at in networks]
    for kind in ("25:25:25:25 of 1, 0.5, -0.5, -1", "80:15:5 of 1, -0.4, -0.8", "graded", "learned from 50:50"):
        found += [Claim("multiple neuron valences", "valence", at, {"condition": kind}, even) for at in networks]
    for task in ("rows", "permuted rows", "decision"):
        found += [
            Claim("time slices, as in RNNs", "recurrence", {"task": task}, {"network": "CWARNN"}, {"network": other})
            for other in ("RNN", "Dale RNN", "GRU")
        ]
    circuit, dense = {"part": "circuit"}, {"condition": "dense"}
    for kind in ("feed-forward interneurons", "lateral interneurons", "E to E"):
        found.append(
            Claim("recurrent and inhibitory connectivity", "connectivity", circuit, {"condition": kind}, dense)
        )
    for part in ("conductances, fan-in", "affine, fan-in"):
        most = {"condition": "1568"}
        found.append(Claim("high connectivity is needed", "connectivity", {"part": part}, most, {"condition": "25"}))
    kernels = {"part": "kernels"}
    found.append(Claim("high connectivity is needed", "connectivity", kernels, {"condition": "11"}, {"condition": "3"}))
    return found + _rollouts() + _pools()


def _rollouts() -> list[Claim]:
    """What time slices and interneurons are worth; those of the highest validation accuracy."""
    found = [
        Claim("discrete time slices", "rollout", {"part": part}, {"condition": "16"}, {"condition": "1"})
        for part in rollout.STARTS
    ]
    room, best = {"part": rollout.ROOM}, rollout.chosen(read_rows(rollout.FOLDER.result))
    if best is not None:
        question = "inhibitory neurons, recurrently"
        found.append(Claim(question, "rollout", room, {"condition": best}, {"condition": WITHOUT}))
    return found


def _pools() -> list[Claim]:
    """What pooled interneurons are worth, and whether they make up for Dale's law."""
    pairs = ((AT_ONCE, NONE), (SLOW, SLOW_NONE), (SYNAPTIC, NONE), (FREE_POOLED, FREE), (FREE, NONE))
    question = "how brains afford Dale's law"
    return [
        Claim(question, "pooled_circuits", {}, {"condition": better}, {"condition": other}) for better, other in pairs
    ]


def table() -> str:
    """As Markdown; corrected for all claims that have been measured together (Holm)."""
    measured = [(claim, difference(claim.rows(claim.better), claim.rows(claim.other))) for claim in claims()]
    known = [(claim, found) for claim, found in measured if found is not None]
    judged = verdicts([found for _, found in known])
    cells = [
        [
            claim.question,
            ", ".join(claim.place.values()) or claim.study.replace("_", " "),
            ", ".join(claim.better.values()),
            ", ".join(claim.other.values()),
            found.text,
            str(found.seeds),
            VERDICTS[verdict],
        ]
        for (claim, found), verdict in zip(known, judged, strict=True)
    ]
    headings = ("Open question", "Where", "Better is", "than", "Points [95 %]", "Seeds", "Verdict")
    return markdown_lines(headings, (False, False, False, False, True, True, False), cells)


def main() -> None:
    write_text(TABLE, table())


if __name__ == "__main__":
    main()
