// Making parts of the page, and asking the server. What comes from a data set is put in as text, never as markup.

export const $ = (id) => document.getElementById(id);

// element("p", { class: "quiet", onclick }, "text", child, ...)
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (value === true) made.setAttribute(key, "");
    else if (value !== false && value !== null && value !== undefined) made.setAttribute(key, value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined && child !== ""));
  return made;
}

export async function ask(address, options = {}) {
  const response = await fetch(address, options);
  const body = await response.json().catch(() => ({}));
  if (!response.ok) throw new Error(body.error || `the server answered ${response.status}`);
  return body;
}

// Text in spans, those that differ in a <del> or <ins>.
export function marked(spans, tag) {
  return spans.map((span) => (span.differs ? element(tag, {}, span.text) : span.text));
}

export const capital = (text) => text.slice(0, 1).toUpperCase() + text.slice(1);

export const plural = (count, word) => `${count.toLocaleString("en")} ${count === 1 ? word : `${word}s`}`;
