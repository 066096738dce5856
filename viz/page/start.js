// Puts the page together, and keeps it up to date where a server tells of changes.

const page = JSON.parse(document.getElementById("data").textContent);
const sheets = page.specs.map((data) => new Sheet(data));
document.getElementById("sheets").append(...sheets.map((sheet) => sheet.element));
sheets.forEach((sheet, at) => {
  sheet.update(page.specs[at], true);
  if (sheet.canvas.svg) sheet.canvas.fit();
});
const search = new Search(sheets);

function turnTheme() {
  const root = document.documentElement;
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
}

function turnHelp() {
  const [keys, button] = [document.getElementById("keys"), document.getElementById("help")];
  keys.hidden = !keys.hidden;
  button.setAttribute("aria-expanded", String(!keys.hidden));
}

document.getElementById("theme").addEventListener("click", turnTheme);
document.getElementById("help").addEventListener("click", turnHelp);
document.addEventListener("keydown", (event) => {
  if (typing(event)) return;
  const sheet = sheets.find((one) => one.element.contains(event.target)) ?? sheets[0];
  if (event.key === "/") search.input.focus();
  else if (event.key === "t") turnTheme();
  else if (event.key === "?") turnHelp();
  else if (/^[1-9]$/.test(event.key)) sheet.turn(Object.keys(sheet.data.views)[event.key - 1]);
  else if (!event.defaultPrevented && ["Escape", "[", "]", "{", "}", "u"].includes(event.key)) sheet.key(event);
  else return;
  event.preventDefault();
});

function follow() {
  const link = document.getElementById("link");
  const events = new EventSource("events");
  events.onmessage = async (message) => {
    const { at, stamp } = JSON.parse(message.data);
    const answer = await fetch(`spec/${at}?${stamp}`);
    const fresh = !sheets[at].canvas.svg;
    sheets[at].update(await answer.json());
    if (fresh && sheets[at].canvas.svg) sheets[at].canvas.fit();
    search.find();
  };
  events.onopen = () => (link.hidden = true);
  events.onerror = () => {
    link.hidden = false;
    link.textContent = "nestgraph view has ended";
  };
}

if (page.live) follow();
document.documentElement.dataset.ready = "yes";
