"""Reports of runs: what they show, and that nothing in a run can break out of the page."""

from __future__ import annotations

import csv
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from nestgraph.errors import InputError, SpecError

pytest.importorskip("matplotlib", reason="`nestgraph[report]` is not installed")

from nestgraph.language.spec import load
from nestgraph.report import read_run, write_report
from nestgraph.report.plots import figures, smoothed
from nestgraph.training.folder_sums import seal, unseal
from nestgraph.training.kept_files import keep_spec

HOSTILE = "<script>alert(1)</script>\"'&$\\frac{1}{0}$ <img src=x onerror=alert(1)>"
LEVELS = ("step", "slow", "context")
SPEC = """\
nestgraph: 1
name: small
doc: DOC
levels: {slow: 4 steps, context: 4 tokens}
blocks:
  b:
    memories:
      M: {level: context, keys: x, values: x}
      S: {level: slow, objective: task}
    nodes:
      y: {read: M, query: x, at: boundary}
      z: {read: S, query: y}
      out: {op: sum, in: [x, z]}
model: {embed: {vocab: 256, width: 16}, stack: [{block: b}]}
training: {steps: 40, seed: SEED, context: 8, batch: 2}
"""


def make_run(
    folder: Path,
    seed: int = 0,
    doc: str = "Small.",
    steps: int = 40,
    surprise: bool = True,
    **spec: str,
) -> Path:
    """Return a folder as `nestgraph train` leaves it, with numbers of no training."""
    folder.mkdir(parents=True)
    text = SPEC.replace("DOC", json.dumps(doc)).replace("SEED", str(seed))
    for old, new in spec.items():
        text = text.replace(old, new)
    (folder / "spec.yaml").write_text(f"# as written {doc}\n{text}")
    (folder / "resolved.yaml").write_text(text)
    columns = [f"{what}/{level}" for what in ("updates", "update_norm", "state_norm")
               for level in LEVELS]  # fmt: skip
    columns += ["surprise/step"] * surprise
    names = ["step", "train_loss", "val_loss", "val_bits_per_byte", *columns, "lr/step"]
    with (folder / "metrics.csv").open("w", newline="") as file:
        table = csv.DictWriter(file, names)
        table.writeheader()
        for step in range(1, steps + 1):
            row = {"step": step, "train_loss": 5 / step + seed, "lr/step": 1e-3}
            row |= {f"updates/{level}": step for level in LEVELS}
            if step % 10 == 0:
                row |= {name: step / 7 for name in columns}
                row |= {"val_loss": 6 / step, "val_bits_per_byte": 8 / step}
            table.writerow(row)
    times = "".join(f"{step},0.5\n" for step in range(1, steps + 1))
    (folder / "times.csv").write_text(f"step,seconds\n{times}")
    (folder / "environment.json").write_text(json.dumps([{"torch": "9.9", "processor": "abacus"}]))
    return sealed(folder)


def sealed(folder: Path) -> Path:
    """Return the folder with checksums of what it holds now."""
    unseal(folder)
    seal(folder, list(folder.iterdir()))
    return folder


class Page(HTMLParser):
    """Tags, attributes and text of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.words = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("src", "href")]
        assert not [name for name, _ in attrs if name.startswith("on")]

    def handle_data(self, data: str) -> None:
        self.words += data


def reported(*folders: Path) -> tuple[Page, Path]:
    page, plots = write_report(folders)
    return Page(page.read_text(encoding="utf-8")), plots


def test_a_report_is_one_page_with_its_plots_inside_and_beside_it(tmp_path: Path) -> None:
    page, plots = reported(make_run(tmp_path / "run"))
    assert (tmp_path / "run" / "report.html").is_file()
    names = {"loss", "bits-per-byte", "tokens-per-second", "updates", "update-norm", "surprise",
             "state-norm", "lr"}  # fmt: skip
    assert {path.name for path in plots.iterdir()} == {
        f"{name}.{form}" for name in names for form in ("svg", "png")
    }
    assert len(page.links) == len(names) + 1  # and the levels
    assert all(link.startswith("data:image/svg+xml;base64,") for link in page.links)
    assert (plots / "loss.png").read_bytes().startswith(b"\x89PNG")


def test_the_numbers_are_those_of_the_run(tmp_path: Path) -> None:
    page, _ = reported(make_run(tmp_path / "run"))
    assert "40 of 40" in page.words
    assert f"{6 / 40:.4f}" in page.words  # best validation
    assert f"{8 / 40:.4f}" in page.words  # bits per byte
    assert "32" in page.words  # tokens a second: 2 x 8 in half a second
    assert "every 4 steps" in page.words
    assert "abacus" in page.words
    assert "# as written" in page.words


def test_a_run_from_before_surprise_was_recorded_is_reported_without_it(tmp_path: Path) -> None:
    page, plots = reported(make_run(tmp_path / "run", surprise=False))
    assert "Surprise" not in page.words
    assert not (plots / "surprise.svg").exists()
    assert (plots / "update-norm.svg").is_file()


@pytest.mark.parametrize("optimizer", [None, "opt.yaml", "{extends: opt.yaml, vars: {beta1: 0.5}}"])
def test_the_report_keeps_the_names_that_the_author_gave(
    optimizer: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Resolved, `cms_level` is three blocks: it is used with three clocks."""
    (tmp_path / "opt.yaml").write_text("nestgraph: 1\nname: mine\nextends: lion\n")
    monkeypatch.chdir(tmp_path)
    given = {} if optimizer is None else {"training.optimizer": optimizer}
    spec = load("hope-tiny", {"vars.depth": 1, **given})
    (tmp_path / "environment.json").write_text("[]")
    seal(tmp_path, [*keep_spec(tmp_path, spec, begun=False), tmp_path / "environment.json"])
    (tmp_path / "opt.yaml").unlink()
    monkeypatch.chdir("/")
    told = read_run(tmp_path).spec.system
    assert told.model is not None
    assert spec.system.model is not None
    names = [
        [one.block for one in s.layers[0].block.regions] for s in (told.model, spec.system.model)
    ]
    assert names[0] == names[1]
    assert names[0].count("cms_level") == 3
    # A run of old has no such file, and its own files say another depth.
    (tmp_path / "overrides.json").unlink()
    (tmp_path / "SHA256SUMS").unlink()
    seal(tmp_path, [tmp_path / name for name in ("spec.yaml", "resolved.yaml", "environment.json")])
    told = read_run(tmp_path).spec.system
    assert told.model is not None
    assert len(told.model.layers) == 1


def test_each_run_has_its_curves(tmp_path: Path) -> None:
    runs = [read_run(make_run(tmp_path / f"run{seed}", seed)) for seed in (0, 3)]
    plots = {plot.name: plot for plot in figures(runs)}
    assert [c.label for c in plots["bits-per-byte"].curves] == ["run0, seed 0", "run3, seed 3"]
    assert len(plots["update-norm"].curves) == 2 * len(LEVELS)
    assert dict(plots["update-norm"].curves[0].points) == {n: n / 7 for n in (10, 20, 30, 40)}
    assert len({curve.style for curve in plots["update-norm"].curves}) == 2
    seconds = plots["tokens-per-second"].curves[0].points
    assert {value for _, value in seconds} == {32.0}


def test_runs_that_differ_in_more_than_their_seed_say_so(tmp_path: Path) -> None:
    one, same, other = (
        make_run(tmp_path / "one"),
        make_run(tmp_path / "same", 1),
        make_run(tmp_path / "other", 2, **{"width: 16": "width: 32"}),
    )
    assert "no repetition" not in reported(one, same)[0].words
    page, _ = reported(one, other)
    assert "other is no repetition of" in page.words
    assert "width: 16 -> 32" in page.words


def test_the_same_runs_give_the_same_bytes(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    first = [(path.name, path.read_bytes()) for path in sorted(write_report([run])[1].iterdir())]
    page = (run / "report.html").read_bytes()
    again = [(path.name, path.read_bytes()) for path in sorted(write_report([run])[1].iterdir())]
    assert first == again
    assert (run / "report.html").read_bytes() == page


def test_a_hostile_run_cannot_break_out(tmp_path: Path) -> None:
    folder = make_run(tmp_path / HOSTILE.replace("/", ""), doc=HOSTILE)
    (folder / "environment.json").write_text(json.dumps([{HOSTILE: HOSTILE, "x": ["<b>"]}]))
    text = (folder / "metrics.csv").read_text().replace("updates/slow", f"updates/{HOSTILE}")
    (folder / "metrics.csv").write_text(text)
    page, plots = reported(sealed(folder))
    assert not {"script", "iframe", "b"} & set(page.tags)
    assert HOSTILE in page.words
    assert all(link.startswith("data:image/") for link in page.links)
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page.rawdata or "")
    assert policy is None or "default-src 'none'" in policy[1]
    for path in plots.glob("*.svg"):
        assert "<script" not in path.read_text(encoding="utf-8")


def test_the_page_forbids_scripts_and_anything_from_outside(tmp_path: Path) -> None:
    make_run(tmp_path / "run")
    text = write_report([tmp_path / "run"])[0].read_text(encoding="utf-8")
    assert "content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'\"" in text


def test_a_run_that_never_took_a_step_has_a_page(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run")
    for name in ("metrics.csv", "times.csv", "environment.json", "spec.yaml"):
        (folder / name).unlink()
    page, _ = reported(sealed(folder))
    assert "nothing to plot" in page.words
    assert "0 of 40" in page.words


@pytest.mark.parametrize(
    "broken",
    [
        "",
        "step\n",
        "step,train_loss\n1,\n2,nan\n3,4",
        "step,train_loss\n1,2,3,4\nx,y\n,\n",
        "\x00\xff,garbage\n",
        "train_loss\n5\n",
    ],
)
def test_a_torn_table_is_read_as_far_as_it_goes(tmp_path: Path, broken: str) -> None:
    folder = make_run(tmp_path / "run")
    (folder / "metrics.csv").write_text(broken)
    (folder / "environment.json").write_text("{")
    page, _ = reported(sealed(folder))
    assert "small: 1 run" in page.words


def test_what_is_no_run_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is no run"):
        write_report([tmp_path])


def test_a_run_whose_spec_is_no_longer_right_is_reported(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run", **{"query: x": "query: q"})
    with pytest.raises(SpecError, match="NG201"):
        write_report([folder])


def test_without_matplotlib_the_cure_is_said(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("nestgraph.report.frame.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install 'nestgraph\[report\]'"):
        write_report([make_run(tmp_path / "run")])


@pytest.mark.parametrize("count", [1, 40, 99, 100, 500])
def test_a_smoothed_curve_is_the_mean_of_the_points_before(count: int) -> None:
    points = [(step, float(step**2 % 17)) for step in range(count)]
    width = max(1, count // 50)
    for index, (step, value) in enumerate(smoothed(points)):
        window = [v for _, v in points[max(0, index - width + 1) : index + 1]]
        assert step == index
        assert value == pytest.approx(sum(window) / len(window))


@pytest.mark.parametrize("name", ["spec.yaml", "resolved.yaml", "metrics.csv", "environment.json"])
def test_a_file_that_isnt_as_the_run_wrote_it_is_not_reported(tmp_path: Path, name: str) -> None:
    folder = make_run(tmp_path / "run")
    content = (folder / name).read_text()
    (folder / name).write_text(content.replace("5", "6", 1) if "5" in content else f"{content} ")
    with pytest.raises(InputError, match=rf"NG715 `.*{name}` is not as the run wrote it"):
        write_report([folder])
