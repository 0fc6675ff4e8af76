"""Configurations: tables to dataclasses and back, TOML files, what is refused and how."""

import copy
import dataclasses
import pickle
import tomllib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from darts_export.config import ExportConfig
from darts_nextgen import RunConfig, read_config, write_config
from darts_nextgen.pipeline.config import config_table, parse_config
from darts_nextgen.pipeline.runfiles import absolute_config, read_table
from darts_nextgen.pipeline.sections import SECTIONS, section_keys, section_options
from darts_postprocessing import PostprocessingConfig, postprocess
from darts_preprocessing import PreprocessingConfig
from darts_preprocessing.loading.finding import listed_scenes
from darts_utils.errors import ConfigError, OutputError
from darts_utils.inference.config import InferenceConfig

MINIMAL = {"scene": ["/maps/a"], "models": ["/maps/m.pt"], "out": "/maps/out"}


def test_defaults_are_those_of_the_packages():
    config = parse_config(MINIMAL)
    assert config.preprocessing == PreprocessingConfig()
    assert config.inference == InferenceConfig()
    assert config.postprocessing == PostprocessingConfig()
    assert config.export == ExportConfig()
    assert section_options(config, "postprocessing") == {
        name: getattr(PostprocessingConfig(), name) for name in section_keys("postprocessing")
    }


def test_the_options_of_a_section_are_arguments_of_its_verb():
    import inspect

    for section, verb in SECTIONS.items():
        assert section_keys(section)
        if verb is not None:
            assert set(section_keys(section)) <= set(inspect.signature(verb).parameters)
    assert SECTIONS["postprocessing"] is postprocess


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"devise": "cpu"}, "unknown key 'devise' in the configuration: did you mean 'device'?"),
        (
            {"postprocessing": {"treshold": 0.4}},
            r"unknown key 'treshold' in \[postprocessing\]: did you mean 'threshold'?",
        ),
        ({"inference": {"overlap": 8}}, r"unknown key 'overlap' in \[inference\]: did you mean 'overlap_px'?"),
        ({"zzz": 1}, "unknown key 'zzz' in the configuration: expected one of bands, date"),
        (
            {"preprocessing": {"zzz": 1}},
            r"in \[preprocessing\]: expected one of tpi_inner_radius_m, tpi_outer_radius_m",
        ),
        ({"postprocessing": {"threshold": "high"}}, "postprocessing.threshold must be a number, but got 'high'"),
        ({"postprocessing": {"threshold": 1.5}}, r"\[postprocessing\]: .*threshold"),
        ({"postprocessing": {"mask": "clouds"}}, "mask"),
        (
            {"postprocessing": {"high_threshold": 0.2}},
            r"\[postprocessing\]: high_threshold must not be below threshold",
        ),
        ({"postprocessing": {"min_slope_deg": 91}}, r"\[postprocessing\]: min_slope_deg must be an angle"),
        ({"postprocessing": {"edge_objects": "cut"}}, "edge_objects"),
        ({"postprocessing": {"radius_px": -1}}, "radius_px"),
        ({"inference": {"batch_size": 1.5}}, "inference.batch_size must be a whole number, but got 1.5"),
        ({"inference": {"batch_size": True}}, "inference.batch_size must be a whole number, but got true"),
        ({"inference": 3}, "inference must be a table, but got 3"),
        ({"bands": {"blue": 1}}, "bands: expected the bands blue, green, red, nir, but got blue"),
        ({"bands": ["blue"]}, "bands must be a table"),
        ({"scene": 3}, "scene must be a path, but got 3"),
        ({"threshold": 0.4}, r"unknown key 'threshold' in the configuration: did you mean 'threshold' in \[postproc"),
        ({"tpi-outer-radius-m": 30}, r"did you mean 'tpi_outer_radius_m' in \[preprocessing\]\?"),
        ({"inference": {"threshold": 0.4}}, r"in \[inference\]: did you mean 'threshold' in \[postprocessing\]\?"),
        ({"scene": [1]}, r"scene\[0\] must be a path, but got 1"),
        ({"date": "21.8.2021"}, "date: expected a date like 2021-08-21, but got '21.8.2021'"),
        ({"date": "20210821"}, "date: expected a date like 2021-08-21"),
        ({"bands": {"blue": 1}, "date": "2021-08-21"}, "bands: expected the bands"),
        ({"retries": -1}, "retries must be at least 0, but got -1"),
        ({"scenes": ""}, "expected a pattern or a list of scenes, but got an empty text"),
        ({"export": {"products": []}}, "at least one product to write"),
        ({"preprocessing": {"tpi_outer_radius_m": float("inf")}}, "a radius of at least 0 m, but got inf"),
        ({"reflectance_scale": 0}, "reflectance_scale must be a finite number above 0, but got 0.0"),
        ({"reflectance_offset": float("nan")}, "reflectance_offset must be a finite number, but got nan"),
        ({"sentinel2_offset_dn": 500}, "sentinel2_offset_dn must be 0 or 1000, but got 500"),
        (
            {"preprocessing": {"tpi_outer_radius_m": -5}},
            "preprocessing.tpi_outer_radius_m and preprocessing.tpi_inner_radius_m: expected a radius of at least 0 m, but got -5",
        ),
        ({"preprocessing": {"tpi_outer_radius_m": 0}}, "an inner radius below the outer one, but got 0 m and 0 m"),
        (
            {"preprocessing": {"tpi_inner_radius_m": 200.0}},
            "an inner radius below the outer one, but got 200 m and 100 m",
        ),
        ({"scene": []}, "expected scenes to map, but got none: add --scene PATH"),
        ({"models": []}, "expected at least one model, but got none: add --models"),
        ({"export": {"products": 7}}, "export.products must be text, but got 7"),
    ],
)
def test_mistakes_are_refused_by_name(table, message):
    with pytest.raises(ConfigError, match=message):
        parse_config({**MINIMAL, **table})


@pytest.mark.parametrize("key", ["models", "out"])
def test_what_has_no_default_must_be_given(key):
    with pytest.raises(ConfigError, match=f"the configuration must have {key}"):
        parse_config({name: value for name, value in MINIMAL.items() if name != key})


names = st.text("abcdefghij_", min_size=1, max_size=8)
metres = st.floats(1, 500)
configs = st.builds(
    RunConfig,
    models=st.lists(names.map(lambda name: Path("/models") / name), min_size=1, max_size=3).map(tuple),
    out=names.map(lambda name: Path("/out") / name),
    scene=st.lists(names.map(lambda name: Path("/scenes") / name), min_size=1, max_size=3).map(tuple),
    scenes=st.lists(names.map(lambda name: f"/scenes/{name}/*"), max_size=2).map(tuple),
    bands=st.just({})
    | st.permutations(range(1, 9)).map(lambda n: dict(zip(("blue", "green", "red", "nir"), n, strict=False))),
    reflectance_scale=st.none() | st.floats(1e-6, 10),
    reflectance_offset=st.none() | st.floats(-1, 1),
    sentinel2_offset_dn=st.sampled_from([None, 0, 1000]),
    sensor=st.none() | names,
    date=st.none() | st.dates().map(str),
    dem=st.none() | names.map(lambda name: Path("/dem") / name),
    tcvis=st.none() | names.map(lambda name: Path("/tcvis") / name),
    tcvis_release=st.none() | names,
    tcvis_rule=st.sampled_from([None, "past_only", "upstream"]),
    device=st.sampled_from(["auto", "cpu", "cuda:1"]),
    weights=st.dictionaries(names, st.floats(0.1, 10), max_size=3),
    preprocessing=st.builds(PreprocessingConfig, tpi_outer_radius_m=st.floats(501, 900), tpi_inner_radius_m=metres),
    inference=st.builds(
        InferenceConfig,
        overlap_px=st.integers(0, 64),
        batch_size=st.none() | st.integers(1, 32),
        padding_px=st.integers(0, 64),
        ramp=st.sampled_from(["open", "closed"]),
        patch_px=st.none() | st.integers(128, 1024),
        precision=st.sampled_from([None, "float32", "bfloat16", "float16"]),
        symmetries=st.booleans(),
        compile_network=st.booleans(),
    ),
    postprocessing=st.builds(
        PostprocessingConfig,
        threshold=st.floats(0.01, 0.8),
        high_threshold=st.none() | st.floats(0.8, 1),
        further_thresholds=st.lists(st.integers(1, 99), max_size=3, unique=True).map(
            lambda p: tuple(n / 100 for n in p)
        ),
        mask=st.sampled_from(["quality", "valid", "none"]),
        radius_px=st.integers(0, 50),
        edge_px=st.integers(0, 50),
        min_object_px=st.integers(0, 500),
        edge_objects=st.sampled_from(["drop", "keep"]),
        drop_water=st.booleans(),
        water_max_ndvi=st.floats(-1, 1),
        water_max_nir=st.floats(0, 1),
        min_slope_deg=st.none() | st.floats(0, 10),
        max_slope_deg=st.none() | st.floats(10, 90),
        max_implausible_share=st.floats(0, 1),
        keep_members=st.booleans(),
    ),
    export=st.builds(ExportConfig, products=st.lists(names, min_size=1, max_size=4, unique=True).map(tuple)),
)


@settings(deadline=None, max_examples=40)
@given(config=configs)
def test_every_configuration_survives_its_file(config, tmp_path_factory):
    path = write_config(config, tmp_path_factory.mktemp("config") / "run.toml")
    assert read_config(path) == config
    assert parse_config(config_table(config)) == config


def test_relative_paths_start_at_the_folder_of_the_file(tmp_path, monkeypatch):
    (tmp_path / "run.toml").write_text(
        'scene = ["a"]\nscenes = "b/*"\nmodels = ["/abs/m.pt"]\nout = "results"\ndem = "../d.tif"\n'
    )
    monkeypatch.chdir("/")
    config = read_config(tmp_path / "run.toml")
    assert config.scene == (tmp_path / "a",)
    assert config.scenes == (str(tmp_path / "b" / "*"),)
    assert config.models == (Path("/abs/m.pt"),)
    assert config.out == tmp_path / "results"
    assert config.dem == tmp_path / ".." / "d.tif"


def test_a_written_file_names_every_option_and_absolute_paths(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_config(RunConfig(scene=(Path("a"),), models=(Path("m.pt"),), out=Path("out")), "run.toml")
    table = tomllib.loads((tmp_path / "run.toml").read_text())
    assert table["scene"] == [str(tmp_path / "a")]
    assert table["postprocessing"]["min_object_px"] == PostprocessingConfig().min_object_px
    assert set(table["inference"]) >= {"padding_px", "symmetries"}


def test_a_notebook_may_give_paths_as_text_and_single_values():
    plain = RunConfig(scene="a", scenes="b/*", models="m.pt", out="out", dem="d.tif", tcvis=Path("t.tif"))
    spelt = RunConfig(
        scene=(Path("a"),),
        scenes=("b/*",),
        models=(Path("m.pt"),),
        out=Path("out"),
        dem=Path("d.tif"),
        tcvis=Path("t.tif"),
    )
    assert plain == spelt
    assert RunConfig(scene=["a", "b"], models=[Path("m.pt")], out="o").scene == (Path("a"), Path("b"))
    with pytest.raises(ConfigError, match="expected paths as text or Path"):
        RunConfig(scene=3, models="m.pt", out="o")
    with pytest.raises(ConfigError, match="scenes: expected paths as text or Path"):
        RunConfig(scene="a", scenes=None, models="m.pt", out="o")


def test_a_configuration_can_be_copied_and_sent():
    config = parse_config({**MINIMAL, "bands": {"blue": 1, "green": 2, "red": 3, "nir": 4}, "weights": {"m": 2}})
    assert copy.deepcopy(config) == config
    assert pickle.loads(pickle.dumps(config)) == config  # noqa: S301 - our own
    assert dataclasses.replace(config, device="cpu").bands == config.bands
    assert dataclasses.asdict(config)["bands"] == {"blue": 1, "green": 2, "red": 3, "nir": 4}


def test_a_date_of_toml_is_a_date(tmp_path):
    (tmp_path / "run.toml").write_text('scene = "a"\nmodels = "m.pt"\nout = "o"\ndate = 2021-08-21\n')
    assert read_config(tmp_path / "run.toml").date == "2021-08-21"


def test_a_file_of_another_origin_is_not_replaced(tmp_path):
    file = tmp_path / "run.toml"
    config = parse_config(MINIMAL)
    write_config(config, file)
    write_config(dataclasses.replace(config, device="cpu"), file)
    assert read_config(file).device == "cpu"
    file.write_text("# my notes\n" + file.read_text())
    with pytest.raises(OutputError, match="but a file of another origin is there: rename it"):
        write_config(config, file)
    assert file.read_text().startswith("# my notes")


def test_files_that_are_none_are_named(tmp_path):
    with pytest.raises(
        ConfigError, match="expected a configuration at '.*gone.toml', but it cannot be read: No such file"
    ):
        read_table(tmp_path / "gone.toml")
    (tmp_path / "broken.toml").write_text("scene = [")
    with pytest.raises(ConfigError, match="expected TOML in '.*broken.toml', but"):
        read_table(tmp_path / "broken.toml")
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="expected TOML in '.*bytes.toml', but"):
        read_table(tmp_path / "bytes.toml")
    with pytest.raises(OutputError, match="bytes.toml"):
        write_config(parse_config(MINIMAL), tmp_path / "bytes.toml" / "run.toml")


def test_the_configuration_of_the_readme_is_one():
    text = (Path(__file__).parents[1] / "README.md").read_text()
    table = tomllib.loads(text.partition("```toml\n")[2].partition("```")[0])
    config = parse_config(table)
    assert config.postprocessing.threshold == 0.4
    assert config.models == (Path("/models/full.pt"), Path("/models/optical.pt"))


def test_scenes_named_from_a_folder_with_brackets_stay_what_they_are(tmp_path, monkeypatch):
    folder = tmp_path / "maps [2021]"
    (folder / "scenes" / "20210821_a").mkdir(parents=True)
    monkeypatch.chdir(folder)
    config = absolute_config(RunConfig(scenes=("scenes", "sce*/2*", "gone"), models=("a.pt",), out="out"))
    assert config.scenes == (
        str(folder / "scenes"),
        f"{tmp_path}/maps [[]2021]/sce*/2*",
        f"{tmp_path}/maps [[]2021]/gone",
    )
    assert config.out == folder / "out"
    found = [path for entry in config.scenes[:2] for path, _ in listed_scenes(entry, out=config.out)]
    assert found == [folder / "scenes" / "20210821_a"] * 2
