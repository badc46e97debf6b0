// One uncertain label after the other; a key answers it and shows the next one that is open.

import { $, ask, element, plural } from "/page/dom.js";

const state = { rows: [], place: 0, sure: 0, busy: false, behind: [] };
window.label = state;

const current = () => state.rows[state.place];

const nextOpen = (from) => {
  for (let step = 0; step < state.rows.length; step += 1) {
    const place = (from + step) % state.rows.length;
    if (!state.rows[place].answer) return place;
  }
  return -1;
};

const seconds = ([start, end]) => (start === end ? `at ${start.toFixed(1)} s` : `${start.toFixed(1)} to ${end.toFixed(1)} s`);

// What a number key corrects a label to: every value but its own.
const others = (row) => row.options.filter((value) => value !== row.value).slice(0, 9);

function said(row) {
  if (!row.answer) return "";
  return row.answer.answer === "corrected" ? `answered: ${row.answer.right}` : `answered: ${row.answer.answer}`;
}

function button(key, text, answer, right, cls) {
  const row = current();
  const pressed = Boolean(row.answer) && row.answer.answer === answer && row.answer.right === right;
  return element("button", { type: "button", class: cls, "aria-pressed": String(pressed), onclick: () => give(answer, right) },
    element("kbd", {}, key), text);
}

function show() {
  const answered = state.rows.filter((row) => row.answer).length;
  $("done").max = Math.max(state.rows.length, 1);
  $("done").value = answered;
  $("about").textContent = `${state.title}: ${answered} of ${plural(state.rows.length, "uncertain label")} answered, ${state.sure} sure`
    + (state.problems ? `; ${plural(state.problems, "line")} could not be used` : "");
  const row = current();
  if (!row) {
    $("question").replaceChildren(element("h2", {}, "No label is uncertain."));
    $("pictures").replaceChildren();
    $("answers").replaceChildren();
    return;
  }
  const what = row.kind === "track" ? `Object ${row.name}` : row.name;
  $("question").replaceChildren(
    element("p", { class: "quiet" }, `${state.place + 1} of ${state.rows.length} · ${row.clip} · ${what} · ${seconds(row.times_s)}`),
    element("h2", {}, `${row.ask} `, element("span", { class: "value" }, row.value)),
    element("p", { class: "quiet" }, `uncertain: ${row.why}; said by ${row.by.join(", ") || "nobody"}`),
    element("p", {}, said(row)),
  );
  $("pictures").replaceChildren(...Array.from({ length: row.pictures }, (_, n) => element("figure", {},
    element("img", { src: `/api/labels/${state.place}/pictures/${n}`, alt: `frame ${n + 1} of ${row.pictures}` }),
  )));
  $("answers").replaceChildren(
    button("y", `yes, ${row.value}`, "yes", "", "yes"),
    button("n", "no", "no", "", "no"),
    others(row).length ? element("span", { class: "break" }) : "",
    ...others(row).map((value, n) => button(String(n + 1), value, "corrected", value, "")),
    element("span", { class: "break" }),
    element("button", { type: "button", onclick: back }, element("kbd", {}, "u"), "take the last answer back"),
    element("button", { type: "button", onclick: () => go(-1) }, element("kbd", {}, "←"), "before"),
    element("button", { type: "button", onclick: () => go(1) }, element("kbd", {}, "→"), "next"),
  );
}

function go(step) {
  state.place = (state.place + step + state.rows.length) % state.rows.length;
  show();
}

async function send(place, answer, right) {
  state.busy = true;
  try {
    state.rows[place] = await ask(`/api/labels/${place}`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ id: state.rows[place].id, answer, right }),
    });
    $("complaint").textContent = "";
    return true;
  } catch (error) {
    $("complaint").textContent = error.message;
    return false;
  } finally {
    state.busy = false;
  }
}

async function give(answer, right = "") {
  if (state.busy || !current()) return;
  const place = state.place;
  if (!(await send(place, answer, right))) return;
  state.behind.push(place);
  const next = nextOpen(place);
  if (next >= 0) state.place = next;
  show();
}

async function back() {
  if (state.busy || !state.behind.length) return;
  const place = state.behind.pop();
  if (await send(place, "open", "")) state.place = place;
  show();
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || !current()) return;
  const key = event.key.toLowerCase();
  const value = /^[1-9]$/.test(key) ? others(current())[Number(key) - 1] : undefined;
  if (key === "y") give("yes");
  else if (key === "n") give("no");
  else if (key === "u") back();
  else if (event.key === "ArrowRight") go(1);
  else if (event.key === "ArrowLeft") go(-1);
  else if (value !== undefined) give("corrected", value);
  else return;
  event.preventDefault();
});

try {
  Object.assign(state, await ask("/api/labels"));
  state.place = Math.max(nextOpen(0), 0);
  show();
} catch (error) {
  $("about").textContent = error.message;
}
