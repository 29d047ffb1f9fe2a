"""The ablation: every row is a config of its own."""

from dataclasses import replace

from studies.ablation.measure import ABLATION, VALIDATION_IMAGES


def test_every_row_differs_from_the_recipe_in_its_one_change():
    configs = [ABLATION.config(case, 0) for case in ABLATION.cases]
    assert len({ABLATION.folder(config) for config in configs}) == len(configs)
    runs: dict[str, set[str]] = {}
    for case, config in zip(ABLATION.cases, configs, strict=True):
        runs.setdefault(str(replace(config, name="")), set()).add(", ".join(case))
    # the FCN's readout moves by this step anyway: its recipe has been measured twice
    assert [names for names in runs.values() if len(names) > 1] == [{"fcn, cwa, none", "fcn, cwa, readout step 0.003"}]
    assert all(config.data.validation_images == VALIDATION_IMAGES for config in configs)


def test_what_has_been_measured_is_what_would_be():
    known = {(*case, str(ABLATION.config(case, 0).epochs)) for case in ABLATION.cases}
    rows = ABLATION.rows()
    assert rows
    assert {(row["architecture"], row["family"], row["change"], row["epochs"]) for row in rows} <= known


def test_only_convolutions_have_kernels():
    assert {case[0] for case in ABLATION.cases if "kernels" in case[2]} == {"cnn"}
