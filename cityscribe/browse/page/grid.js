// The entries as pictures: what is there at a glance, before one is opened. It follows the search and the filters.

import { ask, element, plural } from "/page/dom.js";
import { parameters } from "/page/list.js";

const PAGE = 24; // pictures of one request

export function grid(about) {
  const cards = element("ul", { class: "cards" });
  const more = element("button", { type: "button", hidden: true, onclick: () => add(cards.children.length) }, "Show more");
  const said = element("p", { class: "quiet", role: "status" });
  const made = element("div", { class: "grid" }, said, cards, more);
  let stamp = 0;

  async function add(offset) {
    const own = (stamp += 1);
    const wanted = parameters();
    wanted.set("offset", offset);
    wanted.set("limit", PAGE);
    try {
      const found = await ask(`/api/entries?${wanted}`);
      if (own !== stamp) return;
      cards.append(...found.rows.map((entry) => card(entry, about)));
      const shown = cards.children.length;
      said.textContent = found.total
        ? `${shown < found.total ? `${shown} of ` : ""}${plural(found.total, about.kind === "scenarios" ? "scenario" : "group")}${order()}`
        : "Nothing is found.";
      more.hidden = shown >= found.total;
    } catch (error) {
      if (own === stamp) said.textContent = error.message;
    }
  }

  function refresh() {
    cards.replaceChildren();
    return add(0);
  }

  refresh();
  return { element: made, refresh };
}

function order() {
  const words = { worst: ", those with the fewest points first", best: ", those with the most points first" };
  return words[parameters().get("order")] || "";
}

function card(entry, about) {
  const image = element("img", { src: `/api/entries/${encodeURIComponent(entry.id)}/thumbnail`, alt: "", loading: "lazy", width: 400, height: 225 });
  image.addEventListener("error", () => image.replaceWith(element("span", { class: "no-picture" }, "no picture")));
  const facts = [entry.split, entry.boxed ? "" : "no boxes", entry.left_out ? `${entry.left_out} left out` : ""].filter(Boolean);
  return element(
    "li", {},
    element(
      "a", { href: `#${entry.id}` },
      image,
      element("b", { class: "card-name" }, entry.name),
      entry.points === null ? null : points(entry.points),
      element("span", { class: "facts" }, facts.join(" · ")),
      element("span", { class: "opening", dir: "auto" }, entry.snippet || entry.opening || (about.kind === "scenarios" ? "No caption." : "")),
    ),
  );
}

// Points from 0 to 100 as a number and a bar.
export function points(value) {
  const bar = element("span", { class: "points-bar" });
  const fill = element("i", {});
  fill.style.width = `${Math.min(Math.max(value, 0), 100)}%`;
  bar.append(fill);
  return element("span", { class: "score" }, `${value.toFixed(1)} points`, bar);
}
