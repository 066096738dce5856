// Finds boxes by name, kind or what they say, in all specs of the page.

const MOST_HITS = 60;

class Search {
  constructor(sheets) {
    this.sheets = sheets;
    this.input = document.getElementById("search");
    this.list = document.getElementById("hits");
    this.input.addEventListener("input", () => this.find());
    this.input.addEventListener("keydown", (event) => this.key(event));
    document.addEventListener("click", (event) => {
      if (!event.target.closest?.(".seek, #hits")) this.list.hidden = true;
    });
  }

  find() {
    const wanted = this.input.value.trim().toLowerCase();
    this.hits = wanted === "" ? [] : this.sheets.flatMap((sheet) => this.among(sheet, wanted));
    this.hits.sort((a, b) => a.rank - b.rank);
    const shown = this.hits.slice(0, MOST_HITS);
    this.at = 0;
    this.list.replaceChildren(...shown.map((hit) =>
      make("li", { role: "option", onclick: () => this.go(hit) },
        hit.known.title, " ", make("small", {}, hit.known.kind), " ", make("small", {}, hit.known.path ?? ""))));
    this.list.hidden = shown.length === 0;
    this.mark();
    this.light();
  }

  among(sheet, wanted) {
    const found = [];
    for (const [key, known] of Object.entries(sheet.data.nodes)) {
      const title = known.title.toLowerCase();
      const rest = `${known.kind} ${known.path ?? ""} ${known.facts.map((fact) => fact[1]).join(" ")}`;
      const rank = title === wanted ? 0 : title.startsWith(wanted) ? 1 : title.includes(wanted) ? 2 : 3;
      if (rank < 3 || rest.toLowerCase().includes(wanted)) found.push({ sheet, key, known, rank });
    }
    return found;
  }

  light() {
    for (const sheet of this.sheets) {
      for (const box of sheet.element.querySelectorAll(".hit")) box.classList.remove("hit");
    }
    for (const { sheet, key } of this.hits) sheet.canvas.svg && sheet.boxOf(key)?.classList.add("hit");
  }

  mark() {
    [...this.list.children].forEach((item, at) => item.setAttribute("aria-selected", String(at === this.at)));
    this.list.children[this.at]?.scrollIntoView({ block: "nearest" });
  }

  go({ sheet, key }) {
    this.list.hidden = true;
    const views = Object.keys(sheet.data.views);
    const around = [sheet.view, ...views.filter((view) => view !== sheet.view)];
    for (const view of around) {
      if (view !== sheet.view) sheet.turn(view);
      if (sheet.boxOf(key)) break;
    }
    sheet.choose(key, true);
  }

  key(event) {
    if (event.key === "Escape") {
      this.input.value = "";
      this.find();
      this.input.blur();
    } else if (event.key === "Enter" && this.hits?.length) this.go(this.hits[this.at]);
    else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      const step = event.key === "ArrowDown" ? 1 : -1;
      this.at = Math.max(0, Math.min(this.list.children.length - 1, this.at + step));
      this.mark();
      event.preventDefault();
    }
  }
}
