// The clock view under the slider: a cursor that shows the position, on the leaf that holds it.

const SVG = "http://www.w3.org/2000/svg";

function shape(tag, attributes) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}

class Raster {
  constructor(svg, data) {
    this.svg = svg;
    this.data = data;
    this.panels = data.raster.map((panel) => ({ ...panel, leaf: 0, cursor: this.cursor(panel) }));
  }

  cursor(panel) {
    const [width, height] = [panel.column, panel.bottom - panel.top - 2];
    const made = shape("rect", { class: "cursor", y: panel.top - 3, width, height, visibility: "hidden" });
    this.svg.append(made);
    return made;
  }

  move(time) {
    for (const panel of this.panels) {
      const behind = time.place(panel.unit) - panel.first;
      const leaf = Math.max(0, Math.floor(behind / (panel.count * panel.each)));
      if (leaf !== panel.leaf) this.turn(panel, leaf);
      const column = Math.floor(behind / panel.each) - leaf * panel.count;
      panel.cursor.setAttribute("x", panel.left + column * panel.column - 0.5);
      panel.cursor.setAttribute("visibility", behind < 0 ? "hidden" : "visible");
    }
  }

  // Paints another stretch of the same length.
  turn(panel, leaf) {
    panel.leaf = leaf;
    const start = panel.first + leaf * panel.count * panel.each;
    const last = start + panel.count * panel.each - 1;
    const each = panel.each > 1 ? `, ${panel.each.toLocaleString("en")} in a column` : "";
    this.write(panel.told, `${panel.unit} ${start.toLocaleString("en")} to ${last.toLocaleString("en")}${each}`);
    for (const [column, key] of panel.labels) this.write(key, String(start + column * panel.each));
    for (const row of panel.rows) {
      for (const old of this.svg.querySelectorAll(`.tick[data-in="${row.key}"]`)) old.remove();
      for (let column = 0; column < panel.count; column++) {
        const from = start + column * panel.each;
        if (!this.ticks(row, panel, from, from + panel.each - 1)) continue;
        const group = shape("g", { class: "node tick", "data-in": row.key });
        const [x, width] = [panel.left + column * panel.column, panel.column - 1];
        group.append(shape("rect", { x, y: row.top + 7, width, height: 26, style: `fill: ${row.paint}` }));
        this.svg.insertBefore(group, panel.cursor);
      }
    }
  }

  // Whether a level ticks behind one of the positions between two.
  ticks(row, panel, from, to) {
    if (row.unit === "never") return false;
    if (row.period === 0 || (panel.unit === "steps" && row.unit === "tokens")) return true;
    const steps = row.unit === "steps" && panel.unit === "tokens";
    const period = row.period * (steps ? this.data.context : 1);
    return Math.floor(to / period) > Math.floor((from - 1) / period);
  }

  write(key, content) {
    const text = this.svg.querySelector(`[data-id="${key}"] text`);
    text.textContent = content;
    text.removeAttribute("textLength");
  }
}
