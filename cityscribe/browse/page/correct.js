// Correcting captions, times of phases and boxes. Each form saves one thing; the server writes it to a copy of the data
// set beside the original, and answers with the entry as it is then.

import { capital, element } from "/page/dom.js";

const MOST = 20000; // characters of a caption, as the server takes them

function form(label, save, ...parts) {
  const wrong = element("p", { class: "wrong", role: "alert" });
  const made = element("form", { class: "correct", "aria-label": label }, ...parts, wrong);
  made.addEventListener("submit", async (event) => {
    event.preventDefault();
    wrong.textContent = "";
    const button = event.submitter;
    if (button) button.disabled = true;
    try {
      await save(event.submitter);
    } catch (error) {
      wrong.textContent = error.message;
      if (button) button.disabled = false;
    }
  });
  return made;
}

export function captionForm(phase, role, text, save) {
  const area = element("textarea", { rows: 6, maxlength: MOST, dir: "auto", "aria-label": `Caption of the ${role}, ${phase.name}` });
  area.value = text;
  const button = element("button", { disabled: true }, "Save caption");
  area.addEventListener("input", () => { button.disabled = area.value === text; });
  return form(
    `Correct the caption of the ${role}`,
    () => save({ what: "caption", phase: phase.number, role, before: text, after: area.value }),
    area, element("div", { class: "row" }, button),
  );
}

export function timesForm(view, phase, at, save) {
  const before = [phase.start_s, phase.end_s];
  const inputs = before.map((time, n) => element("input", {
    type: "number", min: 0, step: "any", value: time, "aria-label": `${capital(phase.name)}, ${n ? "to" : "from"}, seconds`, required: true,
  }));
  const button = element("button", { disabled: true }, "Save times");
  const after = () => inputs.map((input) => Number(input.value));
  const changed = () => { button.disabled = after().every((time, n) => time === before[n]); };
  const now = inputs.map((input, n) => element("button", {
    type: "button", title: "the time of the shown frame",
    onclick: () => { input.value = view.video.times_s[at.frame].toFixed(3); changed(); },
  }, n ? "ends here" : "starts here"));
  for (const input of inputs) input.addEventListener("input", changed);
  return form(
    `Correct the times of ${phase.name}`,
    () => save({ what: "phase", view: view.name, phase: phase.number, before, after: after() }),
    element(
      "div", { class: "row" },
      element("label", {}, "from ", inputs[0]), at ? now[0] : null,
      element("label", {}, "to ", inputs[1]), at ? now[1] : null, button,
    ),
    element("p", { class: "quiet" }, `Of all ${view.kind} views of this scenario: they share these times.`),
  );
}

// The box of the chosen road user on the shown frame: drawn with the mouse, or typed.
export function boxForm(view, at, save) {
  const roles = ["pedestrian", "vehicle"].map((role, n) => element("input", { type: "radio", name: "box-role", value: role, checked: n === 0 }));
  const names = ["x", "y", "width", "height"];
  const inputs = names.map((name) => element("input", { type: "number", step: "any", "aria-label": `${name}, pixels`, placeholder: name }));
  const keep = element("button", { value: "save" }, "Save box");
  const remove = element("button", { value: "remove" }, "Remove box");
  const role = () => roles.find((input) => input.checked).value;
  const here = () => (at.byFrame.get(at.frame) || []).find((box) => box.role === role()) || null;
  const typed = () => inputs.map((input) => (input.value === "" ? NaN : Number(input.value)));
  let shown = "";

  function changed() {
    const xywh = typed(), whole = xywh.every(Number.isFinite) && xywh[2] > 0 && xywh[3] > 0, box = here();
    keep.disabled = !whole || Boolean(box && box.xywh.every((value, n) => value === xywh[n]));
    remove.disabled = !box;
    at.preview = whole && !keep.disabled ? { role: role(), xywh } : null;
    at.redraw();
  }

  // What is typed or drawn stays until another frame or road user is chosen.
  function follow() {
    const now = `${at.frame} ${role()}`;
    if (now === shown) return;
    shown = now;
    const box = here();
    inputs.forEach((input, n) => { input.value = box ? Math.round(100 * box.xywh[n]) / 100 : ""; });
    if (box) inputs.forEach((input, n) => { input.valueAsNumber = box.xywh[n]; });
    changed();
  }

  function put(xywh) {
    inputs.forEach((input, n) => { input.value = Math.round(10 * xywh[n]) / 10; });
    changed();
  }

  for (const input of inputs) input.addEventListener("input", changed);
  for (const input of roles) input.addEventListener("change", follow);
  at.drawn = put;
  at.stage.classList.add("drawing");
  const made = form(
    "Correct the boxes of this frame",
    (submitter) => {
      const box = here();
      const before = box && { image_id: box.image_id, xywh: box.xywh, phase: box.phase, generated: box.generated };
      const after = submitter && submitter.value === "remove" ? null : { frame: at.frame, xywh: typed() };
      return save({ what: "box", view: view.name, role: role(), before, after });
    },
    element("p", { class: "quiet" }, "Draw on the picture, or type pixels: the box of the chosen road user on this frame."),
    element("div", { class: "row" }, ...roles.map((input) => element("label", {}, input, " ", element("span", { class: `key ${input.value}` }), capital(input.value)))),
    element("div", { class: "row numbers" }, ...inputs, keep, remove),
  );
  follow();
  return { element: made, follow };
}
