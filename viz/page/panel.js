// What is known about one box: values, shapes, parameters, YAML and where it stands in the file.

function details(sheet, key, told = "") {
  const known = sheet.data.nodes[key];
  if (!known) return [];
  // Those that share its box, where they have none of their own.
  const shared = (known.members ?? []).filter((key) => !sheet.canvas.svg.querySelector(`[data-id="${key}"]`));
  const parts = shared.flatMap((member) => details(sheet, member, known.yaml));
  return [...one(known, told), ...parts];
}

// Links of a chain stand on one line of YAML, which is shown once.
function one(known, told) {
  const rows = known.facts.map(([name, value]) =>
    make("tr", {}, make("th", {}, name), make("td", { dir: "auto" }, value)));
  const parts = [
    make("h3", { dir: "auto" }, known.title),
    make("div", { class: "faint" }, known.kind),
    make("table", {}, ...rows),
  ];
  if (known.place) parts.push(make("div", { class: "faint place" }, known.place));
  if (known.yaml && known.yaml !== told) parts.push(make("pre", { class: "yaml" }, known.yaml));
  return parts;
}

class Panel {
  constructor(close) {
    const button = make("button", { class: "close", type: "button", onclick: close, title: "Close (Esc)" }, "×");
    this.body = make("div");
    this.element = make("aside", { class: "panel", hidden: true, "aria-live": "polite" }, button, this.body);
  }

  show(sheet, key) {
    const parts = key == null ? [] : details(sheet, key);
    this.body.replaceChildren(...parts);
    this.element.hidden = parts.length === 0;
    this.element.scrollTop = 0;
  }
}
