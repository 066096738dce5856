// Elements from plain texts: nothing that a spec says is ever read as HTML here.

function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value != null) element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

function typing(event) {
  return event.target.matches?.("input[type=search]") || event.ctrlKey || event.metaKey || event.altKey;
}
