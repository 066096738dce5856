"""The page in a real browser, opened from a file."""

from __future__ import annotations

import re
import time
from typing import Any

import pytest

from nestgraph.analysis.costs import costs
from nestgraph.language.spec import load
from nestgraph.viz import draw, draw_diff

pytestmark = pytest.mark.browser


def box(page: Any, title: str, view: str = "svg") -> Any:
    """Return the box with a title."""
    own = page.locator(f"{view} .node[tabindex]")
    return own.filter(has=page.locator("text", has_text=re.compile(f"^{re.escape(title)}$"))).first


def lit(page: Any, name: str) -> set[str]:
    """Return titles of the boxes that have a class."""
    return set(
        page.eval_on_selector_all(
            f"svg .node.{name}:not([data-of])",
            "boxes => boxes.map(box => box.querySelector('text').textContent)",
        )
    )


def scale(page: Any) -> float:
    return float(re.search(r"scale\(([\d.]+)\)", page.get_attribute(".stage", "style"))[1])


def place(page: Any) -> list[float]:
    style = page.get_attribute(".stage", "style")
    return [float(number) for number in re.findall(r"(-?[\d.]+)px", style)]


def test_the_page_opens_from_a_file_with_all_views(opened: Any, hope_page: str) -> None:
    page = opened(hope_page)
    assert page.locator("[role=tab]").all_text_contents() == [
        "levels",
        "nested",
        "block",
        "clock",
        "optimizer",
        "system",
    ]
    assert page.locator("svg .cluster.level").count() == 4
    page.get_by_role("tab", name="block").click()
    assert page.locator("svg .node.read").count() == 8


def test_what_feeds_a_box_and_what_it_feeds_light_up_under_the_mouse(
    opened: Any, hope_page: str
) -> None:
    page = opened(hope_page)
    box(page, "c.M").hover()
    assert lit(page, "here") == {"c.M"}
    assert {"b.M", "M_memory", "M_k"} <= lit(page, "up")
    assert lit(page, "down") == {"out.M", "task loss"}
    page.mouse.move(20, 840)
    assert lit(page, "here") == set()


def test_a_click_opens_yaml_shapes_costs_and_the_line(opened: Any, hope_page: str) -> None:
    page = opened(hope_page)
    box(page, "M_k").click()
    panel = page.locator(".panel")
    text = panel.inner_text()
    assert "M_k:\n  net: {kind: mlp, layers: 2" in panel.locator("pre").first.inner_text()
    assert "specs/hope.yaml:36:7" in text
    assert "4 x 64 x 64" in text
    assert "32,768" in text
    assert "FLOPs a token" in text
    assert f"{costs(load('hope').system)['0.hope/a.M_k'].flops:,.0f}" in text
    panel.get_by_role("button").click()
    assert panel.is_hidden()


def test_dragging_moves_the_picture_and_opens_nothing(opened: Any, hope_page: str) -> None:
    page = opened(hope_page)
    before = place(page)
    rect = box(page, "M_k").bounding_box()
    page.mouse.move(rect["x"] + 10, rect["y"] + 10)
    page.mouse.down()
    page.mouse.move(rect["x"] + 70, rect["y"] + 50, steps=4)
    page.mouse.up()
    assert place(page) == pytest.approx([before[0] + 60, before[1] + 40])
    assert page.locator(".panel").is_hidden()


def test_the_wheel_zooms_about_the_mouse(opened: Any, hope_page: str) -> None:
    page = opened(hope_page)
    before, rect = scale(page), box(page, "M_k").bounding_box()
    page.mouse.move(rect["x"], rect["y"])
    page.mouse.wheel(0, -300)
    page.wait_for_function(
        f"() => !document.querySelector('.stage').style.transform.includes('scale({before})')"
    )
    after = box(page, "M_k").bounding_box()
    assert scale(page) > before
    assert (after["x"], after["y"]) == pytest.approx((rect["x"], rect["y"]), abs=1)


def test_search_finds_and_centres_a_box_of_another_view(opened: Any, hope_page: str) -> None:
    page = opened(hope_page)
    page.keyboard.press("/")
    page.keyboard.type("gate")
    assert page.locator("#hits li").first.inner_text().startswith("gate")
    page.keyboard.press("Enter")
    assert page.locator("[role=tab][aria-selected=true]").inner_text() == "block"
    assert lit(page, "chosen") == {"gate"}
    rect = page.locator("svg .chosen").bounding_box()
    canvas = page.locator(".canvas").bounding_box()
    assert canvas["x"] < rect["x"] < canvas["x"] + canvas["width"]
    assert canvas["y"] < rect["y"] < canvas["y"] + canvas["height"]
    page.keyboard.press("Escape")
    assert page.locator("svg .hit").count() == 0


def test_the_slider_lights_the_levels_that_tick(opened: Any, hope_page: str) -> None:
    page = opened(hope_page)
    slider = page.get_by_role("slider")
    slider.focus()
    for _ in range(15):
        page.keyboard.press("ArrowRight")
    assert lit(page, "ticking") == set()
    page.keyboard.press("ArrowRight")
    assert lit(page, "ticking") == {"M_memory", "M_k", "M_v", "M_eta", "M_alpha"}
    assert page.locator("svg .cluster.level.ticking").count() == 1
    page.get_by_role("button", name="mid").click()
    assert "token 1024, step 4" in page.locator("output").inner_text()
    assert {"b.M", "c.M"} <= lit(page, "ticking")
    assert "out.M" not in lit(page, "ticking")
    page.get_by_role("button", name="slow").click()
    assert page.locator("svg .cluster.level.ticking").count() == 4


@pytest.fixture(scope="session")
def m3_page(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the page of Hope under an optimizer with a clock of its own, every 100 steps."""
    path = tmp_path_factory.mktemp("page") / "m3.html"
    draw(load("hope-tiny", set={"training.optimizer": "m3-ema"}), path)
    return path.as_uri()


def test_a_clock_that_only_the_optimizer_has_lights_over_steps(opened: Any, m3_page: str) -> None:
    page = opened(m3_page)
    chips = page.locator(".time .chip").all_text_contents()
    clocks = ["slow of slow (optimizer)", "slow of mid (optimizer)", "slow (optimizer)"]
    assert chips == ["tokens", *clocks, "slow", "mid", "step, fast", "context"]
    slow = page.get_by_role("button", name="slow (optimizer)", exact=True)
    page.keyboard.press("5")
    page.keyboard.press("u")
    page.get_by_role("slider").fill("99")
    assert "M2" not in lit(page, "ticking")
    assert "M1" in lit(page, "ticking")
    page.keyboard.press("]")
    assert page.locator("output").inner_text() == "step 100"
    assert "ticking" in slow.get_attribute("class")
    assert {"M1", "M2", "V"} <= lit(page, "ticking")
    page.keyboard.press("2")
    assert "M2" in lit(page, "ticking")
    titles = page.locator("svg .cluster.level.ticking title").all_text_contents()
    assert titles[0] == "level 3: slow, every 100 steps"
    page.keyboard.press("4")
    panel = cursors(page)[0]
    assert panel is not None
    assert panel in {left - 0.5 for left in ticks(page, "every 100 steps")}
    page.get_by_role("button", name="steps").click()
    assert "step 100" in page.locator("output").inner_text()
    assert "M2" not in lit(page, "ticking")
    page.get_by_role("slider").fill("0")
    slow.click()
    assert "step 100" in page.locator("output").inner_text()


def test_parameters_light_when_their_level_moves(opened: Any, hope_page: str) -> None:
    page = opened(hope_page)
    page.keyboard.press("5")
    page.keyboard.press("u")
    page.get_by_role("slider").fill("4")
    assert {"parameters: mid", "parameters: fast"} <= lit(page, "ticking")
    assert "parameters: slow" not in lit(page, "ticking")


def cursors(page: Any) -> list[float | None]:
    """Return where the cursor of each panel stands; None where it is hidden."""
    found: list[float | None] = page.eval_on_selector_all(
        "svg .cursor",
        "all => all.map(one => one.getAttribute('visibility') === 'hidden' ? null"
        " : Number(one.getAttribute('x')))",
    )
    return found


def ticks(page: Any, name: str) -> list[float]:
    """Return where the ticks of a row stand in the clock view."""
    found: list[float] = page.evaluate(
        """name => {
            const rows = [...document.querySelectorAll('svg .cluster.level')];
            const row = rows.find(row => row.textContent.includes(name)).dataset.id;
            const marks = document.querySelectorAll(`svg .tick[data-in="${row}"] rect`);
            return [...marks].map(mark => Number(mark.getAttribute('x')));
        }""",
        name,
    )
    return found


def test_a_cursor_follows_the_slider_over_the_clocks(opened: Any, hope_page: str) -> None:
    page = opened(hope_page)
    page.keyboard.press("4")
    assert cursors(page) == [None, None]
    for _ in range(16):
        page.keyboard.press("]")
    steps, tokens = cursors(page)
    assert steps is None  # no step has ended
    assert tokens == ticks(page, "context")[0] - 0.5
    page.get_by_role("button", name="mid").click()
    steps, tokens = cursors(page)
    assert steps == ticks(page, "mid")[0] - 0.5
    assert tokens == ticks(page, "context")[1] - 0.5  # token 1024 is the last of its leaf
    assert "tokens 993 to 1,024" in page.locator("svg").text_content()
    assert "1021" in page.locator("svg").text_content()
    page.keyboard.press("]")
    assert "tokens 1,025 to 1,056" in page.locator("svg").text_content()
    assert len(ticks(page, "context")) == 2
    page.get_by_role("slider").fill("0")
    assert cursors(page) == [None, None]


def test_a_box_of_the_optimizer_opens_its_yaml_and_place(opened: Any, hope_page: str) -> None:
    page = opened(hope_page)
    page.keyboard.press("5")
    box(page, "second").click()
    panel = page.locator(".panel").inner_text()
    assert "second: {net: vector" in panel
    assert "specs/adamw.yaml:17:7" in panel


def test_a_page_of_differences_opens_what_is_gone(opened: Any, tmp_path: Any) -> None:
    path = tmp_path / "diff.html"
    draw_diff(load("hope-tiny"), load("hope-attention-tiny"), path)
    page = opened(path.as_uri())
    assert page.locator("[role=tab]").all_text_contents() == ["difference"]
    box(page, "+ A").click()
    assert "added memory" in page.locator(".panel").inner_text()
    page.keyboard.press("Escape")
    page.locator("svg .node.removed[tabindex]").first.focus()
    page.keyboard.press("Enter")
    assert "removed" in page.locator(".panel").inner_text()


def test_everything_works_by_keyboard(opened: Any, hope_page: str) -> None:
    page = opened(hope_page)
    page.keyboard.press("3")
    assert page.locator("[role=tab][aria-selected=true]").inner_text() == "block"
    box(page, "c").focus()
    page.keyboard.press("Enter")
    assert page.locator(".panel h3").first.inner_text() == "c"
    page.keyboard.press("ArrowDown")
    assert page.evaluate("document.activeElement.querySelector('text').textContent") in {
        "eta",
        "alpha",
        "k",
    }
    page.keyboard.press("Escape")
    assert page.locator(".panel").is_hidden()
    page.keyboard.press("]")
    assert "token 1," in page.locator("output").inner_text()
    page.locator(".canvas").focus()
    before = scale(page), place(page)
    page.keyboard.press("+")
    page.keyboard.press("ArrowLeft")
    assert scale(page) > before[0]
    page.keyboard.press("0")
    assert scale(page) == before[0]
    page.keyboard.press("?")
    assert page.locator("#keys").is_visible()


def background(page: Any) -> str:
    return str(page.evaluate("getComputedStyle(document.body).backgroundColor"))


def fill(page: Any) -> str:
    return str(page.evaluate("getComputedStyle(document.querySelector('.node.memory rect')).fill"))


def test_the_page_follows_the_system_by_day_and_by_night(opened: Any, hope_page: str) -> None:
    day, night = opened(hope_page), opened(hope_page, scheme="dark")
    assert (background(day), fill(day)) == ("rgb(255, 255, 255)", "rgb(255, 255, 255)")
    assert (background(night), fill(night)) == ("rgb(23, 23, 28)", "rgb(38, 38, 46)")
    night.keyboard.press("t")
    assert background(night) == "rgb(255, 255, 255)"


@pytest.mark.timed
def test_a_graph_of_a_thousand_boxes_is_painted_within_a_second(opened: Any, page_of: Any) -> None:
    page = opened(page_of(large_spec(1000)), expect_errors=False)
    paint = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
    assert paint < 1000
    start = time.perf_counter()
    page.keyboard.press("3")
    page.wait_for_function("() => document.querySelectorAll('svg .node.op').length >= 1000")
    assert time.perf_counter() - start < 1
    assert page.locator("svg .node.op").count() >= 1000


def large_spec(count: int) -> str:
    """Return a model with some blocks that all differ, and so many ops."""
    lines = ["nestgraph: 1", "name: large", "blocks:"]
    blocks = count // 20
    for block in range(blocks):
        lines += [f"  b{block}:", "    nodes:"]
        before = "x"
        for at in range(20):
            lines.append(f"      n{at}: {{op: affine, in: {before}, scale: {1 + block / 100}}}")
            before = f"n{at}" if at % 3 else before
        lines.append(f"      out: {{op: sum, in: [n19, {before}]}}")
    stack = ", ".join(f"{{block: b{block}}}" for block in range(blocks))
    return "\n".join([*lines, f"model: {{embed: {{vocab: 5, width: 8}}, stack: [{stack}]}}"])
