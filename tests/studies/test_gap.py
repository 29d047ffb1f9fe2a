"""The figure of what is missing: every run of some length, where it is and where it should be."""

from figures import words
from studies.gap import figure as report
from studies.gap import measure as gap
from synthetic_runs import write_run


def test_the_checked_in_figure_is_of_the_checked_in_runs():
    assert words(gap.FOLDER.figure.read_text()) == words(gap.draw_gap(gap.RUNS))


def test_a_line_lies_between_test_and_training_accuracy_and_the_crosses_where_the_paper_is(tmp_path, monkeypatch):
    accuracies = {"test_accuracy": 60.0, "train_accuracy": 80.0}
    name = "cifar10-cnn-cwa"
    write_run(tmp_path / "preset", dataset="cifar10", name=name, **accuracies)
    write_run(tmp_path / "taught", dataset="cifar10", name=f"{name}-taught", **accuracies | {"test_accuracy": 70.0})
    write_run(tmp_path / "short", dataset="cifar10", name=name, epochs=gap.LEAST_EPOCHS - 1)
    write_run(tmp_path / "digits")
    figures = []
    monkeypatch.setattr(report, "svg_page", lambda figure: figures.append(figure) or "")
    gap.draw_gap([tmp_path])
    _, cnn, _ = figures[0].axes
    assert [text.get_text() for text in cnn.get_yticklabels()] == [
        "conductances, 20 epochs",
        "conductances, a teacher, 20 epochs",
    ]

    def at(label):
        return [(*line.get_xdata(), *line.get_ydata()) for line in cnn.get_lines() if line.get_label() == label]

    assert at(report.STRICT) == [(60.0, 0), (70.0, 1)]
    assert at(report.TRAINING) == [(80.0, 0), (80.0, 1)]
    assert at(report.PUBLISHED) == [(78.09, 0)]  # the taught one is nothing that the paper has
    assert at(report.REST) == []
    assert at(gap.REFERENCES["cnn"].source) == [(88.6, 88.6, 0, 1)]
