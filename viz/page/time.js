// A slider over positions; levels that tick behind the chosen one light up.

function ticks(clock, at, data) {
  if (clock.unit === "never" || at === 0) return false;
  if (clock.period === 0) return true;
  const steps = clock.unit === "steps" && data.unit === "tokens";
  return at % (clock.period * (steps ? data.context : 1)) === 0;
}

function nextTick(clock, at, data) {
  if (clock.unit === "never") return at;
  const steps = clock.unit === "steps" && data.unit === "tokens";
  const period = Math.max(1, clock.period) * (steps ? data.context : 1);
  return (Math.floor(at / period) + 1) * period;
}

class Time {
  constructor(moved) {
    this.moved = moved;
    this.slider = make("input", { type: "range", min: 0, value: 0, step: 1, "aria-label": "position",
      oninput: () => this.go(Number(this.slider.value)) });
    this.told = make("output");
    this.chips = make("span");
    this.element = make("footer", { class: "time" }, this.told, this.slider, this.chips);
  }

  show(data) {
    this.data = data;
    this.slider.max = data.span;
    this.buttons = data.clocks.map((clock) =>
      make("button", { class: "chip", type: "button", title: `To the next tick of ${clock.name}`,
        onclick: () => this.go(nextTick(clock, this.at, data)) }, `${clock.rank} ${clock.name}`));
    this.chips.replaceChildren(...this.buttons);
    this.go(Math.min(this.at ?? 0, data.span));
  }

  get at() {
    return Number(this.slider.value);
  }

  go(at) {
    const { data } = this;
    this.slider.value = at > data.span ? 0 : at; // behind the last position comes the first
    const unit = data.unit.slice(0, -1);
    const step = data.unit === "tokens" ? `, step ${Math.floor(this.at / data.context)}` : "";
    this.told.value = this.at === 0 ? `${unit} 0: the start` : `${unit} ${this.at}${step}`;
    const lit = data.clocks.map((clock) => ticks(clock, this.at, data));
    this.buttons.forEach((button, at) => button.classList.toggle("ticking", lit[at]));
    this.lit = new Set(data.clocks.flatMap((clock, at) => (lit[at] ? clock.keys : [])));
    this.moved();
  }

  // To the next position at which a level ticks that is not the fastest of all.
  skip(back) {
    const { data } = this;
    const moving = data.clocks.filter((clock) => clock.unit !== "never" && clock.period > 0);
    const slower = moving.length > 1 ? moving.slice(0, -1) : moving;
    const ahead = slower.map((clock) => nextTick(clock, this.at, data));
    if (!back) return this.go(Math.min(...ahead, data.span + 1));
    const before = slower.map((clock) => {
      const period = nextTick(clock, 0, data);
      return Math.max(0, Math.ceil(this.at / period) - 1) * period;
    });
    this.go(Math.max(0, ...before));
  }
}
