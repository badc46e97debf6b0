// The page: the address says which entry, view and frame are shown (#ID/VIEW/FRAME); everything else follows from it.

import { boxForm } from "/page/correct.js";
import { $, ask, capital, element, plural } from "/page/dom.js";
import { grid } from "/page/grid.js";
import * as list from "/page/list.js";
import { conversations, leftOut, phases, selection } from "/page/parts.js";
import { player } from "/page/player.js";

const state = { about: null, entry: null, view: 0, player: null, asked: 0, correcting: false, boxForm: null, grid: null };
window.browse = state;

// The address

function address() {
  const [id = "", view = "", frame = ""] = decodeURIComponent(location.hash.slice(1)).split("/");
  return { id, view: view === "" ? -1 : Number(view), frame: Number(frame) || 0 };
}

function remember() {
  // An address that names another entry already is on its way to be followed.
  if (!state.entry || address().id !== state.entry.id) return;
  const view = state.entry.views ? state.entry.views[state.view] : null;
  const rest = view && state.player && !state.player.playing ? `/${view.place}/${state.player.frame}` : "";
  const hash = `#${state.entry.id}${rest || (view ? `/${view.place}` : "")}`;
  if (location.hash !== hash) history.replaceState(null, "", hash);
}

async function follow() {
  const { id, view, frame } = address();
  if (!id) return leave();
  if (state.entry && state.entry.id === id) {
    const place = state.entry.views ? state.entry.views.findIndex((each) => each.place === view) : -1;
    if (place >= 0 && place !== state.view) showView(place, frame);
    else if (state.player) state.player.seek(frame);
    return null;
  }
  const number = (state.asked += 1);
  document.body.classList.add("reading");
  try {
    const entry = await ask(`/api/entries/${encodeURIComponent(id)}`);
    if (number !== state.asked) return null;
    show(entry, view, frame);
  } catch (error) {
    if (number !== state.asked) return null;
    close();
    $("detail").replaceChildren(element("p", { class: "gap" }, error.message));
    document.body.classList.add("open");
    document.body.classList.remove("reading");
    return null;
  }
  return list.mark(id).catch(() => {});
}

function leave() {
  close();
  document.body.classList.remove("open", "reading");
  document.title = `${state.about.title} · cityscribe browse`;
  if (!state.grid) state.grid = grid(state.about);
  $("detail").replaceChildren(state.grid.element);
}

function close() {
  if (state.player) state.player.close();
  state.player = null;
  state.boxForm = null;
  state.entry = null;
}

// An entry

function show(entry, view, frame) {
  close();
  state.entry = entry;
  const tags = [entry.split, entry.domain].filter(Boolean).map((tag) => element("span", {}, tag));
  const head = element(
    "div", { class: "title" },
    element("a", { class: "back", href: "#" }, "‹ All"),
    element("h2", {}, entry.name),
    element("p", { class: "tags" }, ...tags),
    element(
      "p", { class: "steps" },
      entry.correctable ? element("button", {
        type: "button", id: "correct", "aria-pressed": String(state.correcting), onclick: toggleCorrecting,
      }, "Correct") : null,
      element("button", { type: "button", "aria-label": "Previous entry", onclick: () => list.step(-1) }, "‹"),
      element("button", { type: "button", "aria-label": "Next entry", onclick: () => list.step(1) }, "›"),
    ),
  );
  const body = entry.views ? scenario(entry) : conversations(entry);
  $("detail").replaceChildren(head, ...body);
  $("detail").scrollTop = 0;
  document.body.classList.add("open");
  document.body.classList.remove("reading");
  document.title = `${entry.name} · cityscribe browse`;
  if (entry.views) {
    const place = entry.views.findIndex((each) => each.place === view);
    showView(Math.max(place, 0), frame);
  }
  window.scrollTo(0, 0);
}

// Correcting

function toggleCorrecting() {
  if (!state.entry || !state.entry.correctable) return;
  state.correcting = !state.correcting;
  showAgain(state.entry);
}

// The same view and frame of an entry that is another now, or is shown otherwise.
function showAgain(entry) {
  const view = state.entry.views[state.view], frame = state.player ? state.player.frame : 0;
  const scrolled = [$("detail").scrollTop, window.scrollY];
  show(entry, view.place, frame);
  $("detail").scrollTop = scrolled[0];
  window.scrollTo(0, scrolled[1]);
}

async function save(correction) {
  const { id } = state.entry;
  const entry = await ask(`/api/entries/${encodeURIComponent(id)}/corrections`, {
    method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(correction),
  });
  if (state.entry && state.entry.id === id) showAgain(entry);
}

function corrections(entry) {
  if (!state.correcting && !entry.corrections) return null;
  const where = `${state.about.corrected}, beside the data set, which stays as it is`;
  const made = entry.corrections ? `${plural(entry.corrections, "correction")} of this scenario in ${where}.` : `Corrections are written to ${where}.`;
  return element("p", { class: "quiet", id: "corrections", role: "status" }, made);
}

function scenario(entry) {
  const tabs = element(
    "div", { class: "tabs", role: "group", "aria-label": "Views" },
    ...entry.views.map((view, place) => element(
      "button", { type: "button", "data-view": place, onclick: () => showView(place, 0) },
      element("b", {}, `${capital(view.kind)} view`),
      element("small", {}, view.rank === 1 ? `${view.name} · best to evaluate on` : view.name),
    )),
  );
  return [
    corrections(entry),
    tabs,
    element(
      "div", { class: "columns" },
      element("div", { id: "watch" }),
      element("div", { id: "phases" }),
    ),
    leftOut(entry, state.about.phases),
  ].filter(Boolean);
}

// A view

function showView(place, frame) {
  const { entry } = state;
  if (state.player) state.player.close();
  state.player = null;
  state.boxForm = null;
  state.view = place;
  const view = entry.views[place];
  for (const tab of document.querySelectorAll(".tabs button")) {
    tab.setAttribute("aria-pressed", String(Number(tab.dataset.view) === place));
  }
  const parts = [];
  if (view.video) {
    state.player = player(view, moved);
    parts.push(state.player.stage, controls(view), timeline(view));
    if (state.correcting) {
      state.boxForm = boxForm(view, state.player, save);
      parts.push(state.boxForm.element);
    }
    if (!view.video.complete) {
      parts.push(element("p", { class: "gap" }, "The file is cut short or damaged: its good frames are shown."));
    }
  } else {
    parts.push(element("p", { class: "gap" }, `The video cannot be read: ${view.error}`));
  }
  parts.push(selection(entry, view));
  $("watch").replaceChildren(...parts);
  $("phases").replaceChildren(...phases(entry, view, state.player, state.correcting ? save : null));
  if (state.player) {
    if (frame) state.player.seek(frame);
    moved(state.player);
  }
  remember();
}

function controls(view) {
  const button = (id, label, text, onclick) => element("button", { type: "button", id, "aria-label": label, onclick }, text);
  const last = view.video.times_s.length - 1;
  return element(
    "div", { class: "row controls" },
    button("back", "One frame back", "‹", () => state.player.step(-1)),
    button("play", "Play", "Play", () => state.player.play()),
    button("forth", "One frame on", "›", () => state.player.step(1)),
    button("box-back", "Previous frame with a box", "◂□", () => state.player.nextBoxed(-1)),
    button("box-forth", "Next frame with a box", "□▸", () => state.player.nextBoxed(1)),
    element("label", {}, element("input", {
      type: "checkbox", id: "boxes", checked: true, onchange: () => state.player.toggleBoxes(),
    }), " Boxes"),
    element("output", { id: "time", class: "time" }),
    element("input", {
      type: "range", id: "seek", min: 0, max: last, value: 0, "aria-label": "Frame",
      oninput: (event) => state.player.seek(Number(event.target.value)),
    }),
  );
}

function timeline(view) {
  const length = view.video.duration_s || 1;
  const share = (time) => `${Math.min(Math.max((100 * time) / length, 0), 100)}%`;
  const track = element("div", { id: "track", onpointerdown: point, onpointermove: point });
  for (const phase of view.phases) {
    const bar = element("button", {
      type: "button", class: `bar p${phase.number}`, title: `${phase.name}, ${phase.start_s} to ${phase.end_s} s`,
      tabindex: -1, onclick: (event) => { event.stopPropagation(); state.player.seek(phase.frame); },
    }, phase.name);
    bar.style.left = share(phase.start_s);
    bar.style.width = `calc(${share(phase.end_s)} - ${share(phase.start_s)})`;
    track.append(bar);
  }
  const ticks = element("div", { class: "ticks" });
  const drawn = new Set(); // one tick a quarter of a percent: a tracker boxes every frame
  for (const frame of state.player.boxed) {
    for (const box of state.player.byFrame.get(frame)) {
      const place = `${box.role}${Math.round((400 * view.video.times_s[frame]) / length)}`;
      if (drawn.has(place)) continue;
      drawn.add(place);
      const tick = element("i", { class: `tick ${box.role}${box.generated ? " generated" : ""}` });
      tick.style.left = share(view.video.times_s[frame]);
      ticks.append(tick);
    }
  }
  track.append(ticks, element("span", { id: "head" }));
  return track;

  function point(event) {
    if (event.target.closest("button") || !(event.buttons & 1)) return;
    const box = track.getBoundingClientRect();
    const time = (length * (event.clientX - box.left)) / box.width;
    state.player.seek(view.video.times_s.findLastIndex((each) => each <= Math.max(time, 0)));
  }
}

function moved(at) {
  if (at !== state.player) return;
  if (state.boxForm) state.boxForm.follow();
  const view = state.entry.views[state.view], time = view.video.times_s[at.frame];
  $("time").textContent = `${time.toFixed(2)} s · frame ${at.frame} of ${view.video.frames - 1}`;
  $("play").textContent = at.playing ? "Pause" : "Play";
  $("play").setAttribute("aria-label", at.playing ? "Pause" : "Play");
  $("seek").value = at.frame;
  $("boxes").checked = at.boxes;
  $("head").style.left = `${(100 * time) / (view.video.duration_s || 1)}%`;
  for (const phase of document.querySelectorAll(".phase")) {
    const now = Number(phase.dataset.start) <= time + 0.0006 && time < Number(phase.dataset.end);
    phase.classList.toggle("now", now);
  }
  if (!at.playing) remember();
}

// Keys

function key(event) {
  const typing = event.target.matches("input[type=search], input[type=number], select, textarea") || event.ctrlKey || event.metaKey || event.altKey;
  if (event.key === "Escape" && event.target.id === "query") return event.target.blur();
  if (typing || $("help").open) return null;
  const own = event.target.matches("button, a, summary, input[type=checkbox]") && (event.key === " " || event.key === "Enter");
  const range = event.target.id === "seek" && event.key.startsWith("Arrow");
  if (own || range) return null;
  const at = state.player, fps = at ? state.entry.views[state.view].video.fps : 0;
  const second = Math.max(Math.round(fps), 1);
  const actions = {
    j: () => list.step(1),
    k: () => list.step(-1),
    "/": () => $("query").focus(),
    "?": () => $("help").showModal(),
    v: () => state.entry && state.entry.views && showView((state.view + 1) % state.entry.views.length, 0),
    " ": () => at && at.play(),
    ArrowLeft: () => at && at.step(event.shiftKey ? -second : -1),
    ArrowRight: () => at && at.step(event.shiftKey ? second : 1),
    "[": () => at && at.nextBoxed(-1),
    "]": () => at && at.nextBoxed(1),
    b: () => at && at.toggleBoxes(),
    c: toggleCorrecting,
    Escape: () => { location.hash = ""; },
  };
  let action = actions[event.key];
  if (/^[1-5]$/.test(event.key) && state.entry && state.entry.views) {
    const phase = state.entry.views[state.view].phases.find((each) => each.number === Number(event.key) - 1);
    action = () => {
      if (!phase) return;
      if (at) at.seek(phase.frame);
      $(`phase-${phase.number}`).open = true;
      $(`phase-${phase.number}`).scrollIntoView({ block: "nearest" });
    };
  }
  if (!action) return null;
  event.preventDefault();
  return action();
}

async function begin() {
  try {
    state.about = await ask("/api/about");
  } catch (error) {
    $("about").textContent = error.message;
    return;
  }
  const { about } = state;
  const word = about.kind === "scenarios" ? "scenario" : "group of images";
  const problems = about.problems ? `, ${plural(about.problems, "problem")} (cityscribe check lists them)` : "";
  $("about").textContent = `${about.title}: ${about.kind === "scenarios" ? plural(about.entries, word) : `${about.entries} groups of images`}${problems}`;
  document.title = `${about.title} · cityscribe browse`;
  $("help-button").addEventListener("click", () => $("help").showModal());
  document.addEventListener("keydown", key);
  window.addEventListener("hashchange", follow);
  await list.start(about, () => { if (state.grid) state.grid.refresh(); });
  await follow();
}

begin();
