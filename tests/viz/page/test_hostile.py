"""A page of a hostile author, in a real browser: nothing in it runs, nothing leaves it."""

from __future__ import annotations

import textwrap
from typing import Any

import pytest
from building import spec_of

from nestgraph.viz import draw_diff

pytestmark = pytest.mark.browser

ATTACKS = (
    "</script><script>document.title='pwned'</script>",
    "<img src=x onerror=\"document.title='pwned'\">",
    "<svg onload=document.title='pwned'>",
    "--></style><script>document.title='pwned'</script>",
    "\\u202e' \" ` ${document.title='pwned'} @DATA@ \\u2028",
)


def spec_text(attack: str) -> str:
    """Return a spec that says the attack wherever free text may stand: names hold letters and
    digits.
    """
    quoted = '"' + attack.replace('"', '\\"') + '"'
    return textwrap.dedent(f"""\
        nestgraph: 1
        name: x
        doc: {quoted}
        blocks:
          b:
            memories:
              # {attack}
              M: {{keys: x, values: x}}  # {attack}
            nodes:
              y: {{read: M, query: x}}  # {attack}
              out: {{op: sum, in: [x, y]}}
        model: {{embed: {{vocab: 5, width: 8}}, stack: [{{block: b}}]}}
        """)


@pytest.mark.parametrize("attack", ATTACKS, ids=range(len(ATTACKS)))
def test_nothing_that_a_spec_says_runs(opened: Any, page_of: Any, attack: str) -> None:
    page = opened(page_of(spec_text(attack)))
    for view in "1234":
        page.keyboard.press(view)
    page.keyboard.press("3")
    page.locator("svg .node.write[tabindex]").click()
    assert attack.split("\\")[0][:20] in page.locator(".panel pre").first.inner_text()
    page.keyboard.press("/")
    page.keyboard.type("M")
    assert page.title() != "pwned"
    assert page.locator("img, iframe, object, body script ~ script ~ script").count() == 0


@pytest.mark.parametrize("attack", ATTACKS, ids=range(len(ATTACKS)))
def test_nothing_that_differs_runs(opened: Any, tmp_path: Any, attack: str) -> None:
    quoted = '"' + attack.replace('"', '\\"').replace("$", "") + '"'  # a `$` is a var's
    old, new = (
        spec_of(f"{spec_text(attack)}training: {{lr: {lr}, data: {data}}}")
        for lr, data in ((0.5, "x"), (0.25, quoted))
    )
    path = tmp_path / "diff.html"
    draw_diff(old, new, path)
    page = opened(path.as_uri())
    assert page.locator("svg .node.setting").count() == 1
    page.locator("svg .node.write[tabindex]").click()
    assert page.title() != "pwned"
    assert page.locator("img, iframe, object, body script ~ script ~ script").count() == 0


def test_even_a_script_that_got_in_would_not_run(opened: Any, page_of: Any) -> None:
    page = opened(page_of(spec_text("x")), expect_errors=True)
    page.evaluate(
        "document.body.append(Object.assign(document.createElement('script'),"
        "{textContent: 'document.title = `pwned`'}))"
    )
    assert page.title() == "x"
