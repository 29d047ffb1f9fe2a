"""The ablation: every row is a config of its own, and the figure shows the changes that matter most."""

from dataclasses import replace

from figures import words
from studies.ablation.figure import FAMILIES, MOST, ablation_figure
from studies.ablation.measure import ABLATION, ALONE, VALIDATION_IMAGES
from studies.ablation.words import WORDS
from studies.shared.folder import StudyFolder


def test_every_row_differs_from_the_unchanged_settings_in_its_one_change():
    configs = [ABLATION.config(case, 0) for case in ABLATION.cases]
    assert len({ABLATION.run_folder(config) for config in configs}) == len(configs)
    runs: dict[str, set[str]] = {}
    for case, config in zip(ABLATION.cases, configs, strict=True):
        runs.setdefault(str(replace(config, name="")), set()).add(", ".join(case))
    # the FCN's readout moves by this step anyway: it has been measured twice
    assert [names for names in runs.values() if len(names) > 1] == [{"fcn, cwa, none", "fcn, cwa, readout step 0.003"}]
    assert all(config.data.validation_images == VALIDATION_IMAGES for config in configs)


def test_what_has_been_measured_is_what_would_be():
    known = {(*case, str(ABLATION.config(case, 0).epochs)) for case in ABLATION.cases}
    rows = ABLATION.rows()
    assert rows
    assert {(row["architecture"], row["family"], row["change"], row["epochs"]) for row in rows} <= known


def test_only_convolutions_have_kernels():
    assert {case[0] for case in ABLATION.cases if "kernels" in case[2]} == {"cnn"}


def test_the_checked_in_figure_is_of_the_result_and_shows_no_more_than_it_can():
    text = ABLATION.folder.figure.read_text()
    assert words(text) == words(ablation_figure(ABLATION, left_out=tuple(ALONE)))
    shown = words(text) & {WORDS.get(change, change) for _, family, change in ABLATION.cases if family == "cwa"}
    assert len(shown) <= 2 * MOST
    assert not shown & {WORDS.get(change, change) for change in ALONE}
    assert set(FAMILIES.values()) <= words(text)


def test_the_figure_shows_the_largest_differences(tmp_path):
    ablation = replace(ABLATION, folder=StudyFolder(tmp_path))
    small = "".join(f"cnn,cwa,no {kind},0,4,{68 + size / 10}\n" for size, kind in enumerate(["twins", "balance"]))
    large = "".join(f"cnn,cwa,muon {step},0,4,{50 + step}\n" for step in range(MOST))
    ablation.folder.result.write_text(
        f"architecture,family,change,seed,epochs,validation\ncnn,cwa,none,0,4,68.0\n{small}{large}"
    )
    shown = words(ablation_figure(ablation))
    assert {f"muon {step}" for step in range(MOST)} <= shown
    assert not shown & {WORDS["no twins"], WORDS["no balance"]}


def test_every_change_that_has_other_words_exists():
    assert set(WORDS) <= {change for _, _, change in ABLATION.cases}
