// The list of entries: as many rows in the page as can be seen, fetched by the hundred while one scrolls.

import { $, ask, element, plural } from "/page/dom.js";

const HEIGHT = 64; // of a row in CSS pixels, as in style.css
const PAGE = 100; // rows of one request
const state = { pages: new Map(), total: 0, active: "", stamp: 0, kind: "scenarios", changed: () => {} };

export function parameters() {
  return new URLSearchParams({
    q: $("query").value, which: $("which").value, order: $("order").value, split: $("split").value,
  });
}

// `changed` is called when another search, filter or order is chosen.
export async function start(about, changed) {
  state.kind = about.kind;
  state.changed = changed;
  const words = {
    all: "all", skipped: "something left out", "no-boxes": "no boxes", scored: "scored",
  };
  $("split").append(...about.splits.map((name) => element("option", { value: name }, name)));
  $("which").append(...about.filters.map((name) => element("option", { value: name }, words[name])));
  const orders = about.scored ? { name: "in order", worst: "worst first", best: "best first" } : { name: "in order" };
  $("order").append(...Object.entries(orders).map(([value, text]) => element("option", { value }, text)));
  for (const [id, options] of [["split", about.splits], ["which", about.filters], ["order", Object.keys(orders)]]) {
    $(id).hidden = options.length < 2;
  }
  $("find").addEventListener("submit", (event) => { event.preventDefault(); open(0); });
  for (const id of ["which", "order", "split"]) $(id).addEventListener("change", refresh);
  let timer = 0;
  $("query").addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(refresh, 120); });
  $("scroll").addEventListener("scroll", show, { passive: true });
  new ResizeObserver(show).observe($("scroll"));
  await refresh();
}

export async function refresh() {
  state.stamp += 1;
  state.pages.clear();
  $("scroll").scrollTop = 0;
  state.changed();
  await fetchPage(0);
}

async function fetchPage(number) {
  if (state.pages.has(number)) return;
  const stamp = state.stamp;
  state.pages.set(number, null);
  const wanted = parameters();
  wanted.set("offset", number * PAGE);
  wanted.set("limit", PAGE);
  try {
    const found = await ask(`/api/entries?${wanted}`);
    if (stamp !== state.stamp) return;
    state.total = found.total;
    state.pages.set(number, found.rows);
    const word = state.kind === "scenarios" ? "scenario" : "group";
    $("count").textContent = found.total ? plural(found.total, word) : "Nothing is found.";
    $("list").style.height = `${found.total * HEIGHT}px`;
  } catch (error) {
    if (stamp !== state.stamp) return;
    state.pages.delete(number);
    $("count").textContent = error.message;
  }
  show();
}

function show() {
  const top = $("scroll").scrollTop, height = $("scroll").clientHeight;
  const first = Math.max(Math.floor(top / HEIGHT) - 5, 0);
  const last = Math.min(Math.ceil((top + height) / HEIGHT) + 5, state.total);
  const rows = [];
  for (let place = first; place < last; place += 1) {
    const page = state.pages.get(Math.floor(place / PAGE));
    if (page) rows.push(row(page[place % PAGE], place));
    else if (page === undefined) fetchPage(Math.floor(place / PAGE));
  }
  const focused = document.activeElement && document.activeElement.dataset ? document.activeElement.dataset.id : "";
  $("list").replaceChildren(...rows);
  if (focused) {
    const again = [...$("list").querySelectorAll("a")].find((link) => link.dataset.id === focused);
    if (again) again.focus({ preventScroll: true });
  }
}

function row(entry, place) {
  const facts = [entry.split, entry.domain].filter(Boolean);
  if (!entry.boxed) facts.push("no boxes");
  if (entry.left_out) facts.push(`${entry.left_out} left out`);
  const link = element(
    "a",
    { href: `#${entry.id}`, "data-id": entry.id, "aria-current": entry.id === state.active ? "true" : null },
    element("span", { class: "name" }, entry.name),
    entry.points === null ? "" : element("span", { class: "points" }, entry.points.toFixed(1), element("small", {}, " pts")),
    entry.snippet
      ? element("span", { class: "facts snippet" }, entry.snippet)
      : element("span", { class: "facts" }, facts.join(" · ")),
  );
  const item = element("li", { "aria-setsize": state.total, "aria-posinset": place + 1 }, link);
  item.style.top = `${place * HEIGHT}px`;
  return item;
}

// Mark an entry as the one that is shown, and bring it into sight.
export async function mark(id) {
  state.active = id;
  show();
  const { place } = await ask(`/api/entries/${encodeURIComponent(id)}/place?${parameters()}`);
  if (id !== state.active || place < 0) return;
  const scroll = $("scroll"), top = place * HEIGHT;
  if (top < scroll.scrollTop) scroll.scrollTop = top;
  else if (top + HEIGHT > scroll.scrollTop + scroll.clientHeight) scroll.scrollTop = top + HEIGHT - scroll.clientHeight;
}

// Show the entry that stands so many places behind the one that is shown, or the first.
export async function step(count) {
  let place = 0;
  if (state.active) {
    const found = await ask(`/api/entries/${encodeURIComponent(state.active)}/place?${parameters()}`);
    place = found.place < 0 ? 0 : found.place + count;
  }
  await open(Math.min(Math.max(place, 0), state.total - 1));
}

async function open(place) {
  if (place < 0 || place >= state.total) return;
  const wanted = parameters();
  wanted.set("offset", place);
  wanted.set("limit", 1);
  const { rows } = await ask(`/api/entries?${wanted}`);
  if (rows.length) location.hash = `#${rows[0].id}`;
}
