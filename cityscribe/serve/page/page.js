// The page of the service: a clip, its boxes and phases, what the model says about them. It speaks to its own service
// only, and what comes from the model or a file is put into the page as text, never as markup.
"use strict";

const PHASES = ["prerecognition", "recognition", "judgement", "action", "avoidance"];
const COLOURS = { pedestrian: "rgb(0,255,0)", vehicle: "rgb(0,0,255)" };
const PARTS = ["pedestrian", "vehicle", "facts"];
const $ = (id) => document.getElementById(id);
const video = $("video"), overlay = $("overlay");
const state = { file: null, boxes: [], chosen: -1, job: null, result: null, model: "", token: "", drag: null, given: null };

function element(name, text = "", options = {}) {
  const made = Object.assign(document.createElement(name), options);
  made.textContent = text;
  return made;
}

function say(text, wrong = false) {
  $("status").textContent = text;
  $("status").className = wrong ? "wrong" : "";
}

// Speaking to the service

async function call(path, options = {}) {
  const headers = { ...(options.headers || {}) };
  if (state.token) headers.Authorization = `Bearer ${state.token}`;
  const response = await fetch(path, { ...options, headers });
  if (response.status === 401) $("token-form").hidden = false;
  if (!response.ok) {
    const body = await response.json().catch(() => ({}));
    throw new Error(body.error ? body.error.message : `the service answered ${response.status}`);
  }
  return response;
}

async function* events(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  for (let rest = ""; ; ) {
    const { value, done } = await reader.read();
    if (done) return;
    const parts = (rest + value).split("\n\n");
    rest = parts.pop();
    for (const part of parts) {
      const found = { event: "message", data: "" };
      for (const line of part.split("\n")) {
        const cut = line.indexOf(": ");
        found[line.slice(0, cut)] = line.slice(cut + 2);
      }
      if (found.data) yield found; // a comment, which keeps the connection open, has none
    }
  }
}

async function greet() {
  try {
    const models = await (await call("/v1/models")).json();
    state.model = models.data[0].id;
    $("model").textContent = `model ${state.model}`;
    $("token-form").hidden = true;
    const { knows } = await (await call("/page/model.json")).json();
    $("knows").textContent = knows
      ? `By its model card, this model knows ${knows}.`
      : "No model card says what this model has seen: compare what it says with the clip.";
    $("knows").hidden = false;
  } catch (error) {
    $("model").textContent = error.message;
  }
}

// The clip

// With `given` its boxes, phases and camera are known.
function open(file, given = null) {
  if (!file) return;
  state.file = file;
  state.given = given;
  state.boxes = [];
  state.chosen = -1;
  state.result = null;
  $("file-name").textContent = `${file.name}, ${(file.size / 1e6).toFixed(1)} MB`;
  if (video.src) URL.revokeObjectURL(video.src);
  video.src = URL.createObjectURL(file);
  $("work").hidden = false;
  $("start").hidden = true;
  guessCamera(file);
  $("answers").replaceChildren(element("p", "They appear here, phase by phase.", { className: "quiet" }));
  $("download").disabled = $("print").disabled = true;
  say("");
}

// The camera as the file or the picture tells it, for a person to change. A later file makes an earlier guess void.
async function guessCamera(file) {
  $("guessed").textContent = "";
  const guess = await cameraOf(file).catch(() => null);
  if (state.file !== file || !guess || state.given) return;
  $("view").value = guess.view;
  $("guessed").textContent = `guessed ${guess.by}; change it if it is wrong`;
}

async function openSample() {
  try {
    const clip = await (await call("/page/sample.mp4")).blob();
    const about = await (await call("/page/sample.json")).json();
    open(new File([clip], "sample.mp4", { type: "video/mp4" }), about);
  } catch (error) {
    say(error.message, true);
    $("file-name").textContent = error.message;
  }
}

function loaded() {
  overlay.width = video.videoWidth;
  overlay.height = video.videoHeight;
  if (state.given) {
    take(state.given);
    $("view").value = state.given.view;
    draw();
    return;
  }
  const part = video.duration / PHASES.length;
  setPhases(PHASES.map((phase, n) => ({ phase, start_s: n * part, end_s: (n + 1) * part })));
  draw();
}

function seek(time) {
  video.pause();
  video.currentTime = Math.min(Math.max(time, 0), Math.max(video.duration - 0.001, 0));
}

function moved() {
  const now = video.currentTime;
  $("time").textContent = `${now.toFixed(2)} s`;
  if (document.activeElement !== $("seek") || !video.paused) $("seek").value = (1000 * now) / (video.duration || 1);
  const phase = state.result && state.result.phases.find((each) => each.start_s <= now && now < each.end_s);
  const said = $("captions").checked && phase && phase[role()];
  const caption = said ? `${phase.phase}: ${said.text}` : "";
  if ($("caption").textContent !== caption) $("caption").textContent = caption;
  draw();
  drawTrack();
}

// Boxes

function near(box) {
  return Math.abs(box.time_s - video.currentTime) < 0.02;
}

function draw() {
  const context = overlay.getContext("2d");
  context.clearRect(0, 0, overlay.width, overlay.height);
  context.lineWidth = Math.max(2, overlay.width / 300);
  state.boxes.forEach((box, n) => {
    if (!near(box)) return;
    // A white line lies under the coloured one, so that blue is seen on a blue car.
    const width = context.lineWidth;
    context.setLineDash([]);
    context.lineWidth = width + 2;
    context.strokeStyle = "#fff";
    context.strokeRect(...box.xywh);
    context.lineWidth = width;
    context.strokeStyle = COLOURS[box.role];
    context.setLineDash(n === state.chosen ? [] : [8, 5]);
    context.strokeRect(...box.xywh);
  });
}

function listBoxes() {
  $("boxes").replaceChildren(...state.boxes.map((box, n) => {
    const item = element("li");
    const go = element("button", `${box.role}, ${box.time_s.toFixed(2)} s, ${box.xywh.map(Math.round).join(" ")}`, { type: "button" });
    go.addEventListener("click", () => { state.chosen = n; seek(box.time_s); draw(); overlay.focus(); });
    const remove = element("button", "Remove", { type: "button" });
    remove.setAttribute("aria-label", `Remove the box of the ${box.role} at ${box.time_s.toFixed(2)} s`);
    remove.addEventListener("click", () => removeBox(n));
    item.append(element("span", "", { className: `key ${box.role}` }), go, remove);
    return item;
  }));
  draw();
}

function removeBox(n) {
  state.boxes.splice(n, 1);
  state.chosen = -1;
  listBoxes();
}

function role() {
  return document.querySelector("input[name=role]:checked").value;
}

function putBox(xywh) {
  const others = state.boxes.filter((box) => !(box.role === role() && near(box)));
  state.boxes = [...others, { role: role(), time_s: video.currentTime, xywh }];
  state.chosen = state.boxes.length - 1;
  listBoxes();
}

function place(event) {
  const shown = overlay.getBoundingClientRect();
  const within = (value, most) => Math.min(Math.max(value, 0), most);
  return [
    within(((event.clientX - shown.left) / shown.width) * overlay.width, overlay.width),
    within(((event.clientY - shown.top) / shown.height) * overlay.height, overlay.height),
  ];
}

overlay.addEventListener("pointerdown", (event) => {
  video.pause();
  overlay.setPointerCapture(event.pointerId);
  state.drag = place(event);
});
overlay.addEventListener("pointermove", (event) => {
  if (!state.drag) return;
  const [x, y] = place(event), [left, top] = state.drag;
  draw();
  const context = overlay.getContext("2d");
  context.setLineDash([]);
  context.strokeStyle = COLOURS[role()];
  context.strokeRect(Math.min(x, left), Math.min(y, top), Math.abs(x - left), Math.abs(y - top));
});
overlay.addEventListener("pointerup", (event) => {
  if (!state.drag) return;
  const [x, y] = place(event), [left, top] = state.drag;
  state.drag = null;
  if (Math.abs(x - left) > 3 && Math.abs(y - top) > 3) {
    putBox([Math.min(x, left), Math.min(y, top), Math.abs(x - left), Math.abs(y - top)]);
  } else draw();
});
overlay.addEventListener("keydown", (event) => {
  const box = state.boxes[state.chosen];
  const steps = { ArrowLeft: [-4, 0], ArrowRight: [4, 0], ArrowUp: [0, -4], ArrowDown: [0, 4] };
  if (!box || !(event.key in steps || event.key === "Delete")) return;
  event.preventDefault();
  if (event.key === "Delete") return removeBox(state.chosen);
  const first = event.shiftKey ? 2 : 0;
  steps[event.key].forEach((step, n) => {
    box.xywh[first + n] += step;
    const most = [overlay.width - 4, overlay.height - 4, overlay.width, overlay.height][first + n];
    box.xywh[first + n] = Math.min(Math.max(box.xywh[first + n], event.shiftKey ? 4 : 0), most);
  });
  listBoxes();
});

function take(given) {
  state.boxes = given.boxes;
  listBoxes();
  setPhases(given.phases);
}

// Phases

function setPhases(phases) {
  $("phases").replaceChildren(...PHASES.map((name) => {
    const given = phases.find((each) => each.phase === name);
    const row = element("tr");
    const cells = ["start_s", "end_s"].map((end) => {
      const input = element("input", "", { type: "number", min: 0, step: 0.01, name: `${name} ${end}` });
      input.setAttribute("aria-label", `${name}, ${end === "start_s" ? "from" : "to"}, seconds`);
      input.value = given ? given[end].toFixed(2) : "";
      input.addEventListener("input", drawTrack);
      const cell = element("td");
      cell.append(input);
      return cell;
    });
    const now = element("td");
    cells.forEach((cell, n) => {
      const button = element("button", n ? "to" : "from", { type: "button" });
      button.setAttribute("aria-label", `${name} ${n ? "ends" : "starts"} at the shown frame`);
      button.addEventListener("click", () => {
        cell.firstChild.value = video.currentTime.toFixed(2);
        drawTrack();
      });
      now.append(button, " ");
    });
    row.append(element("th", name, { scope: "row" }), ...cells, now);
    return row;
  }));
  drawTrack();
}

function phases() {
  return [...$("phases").rows].map((row, n) => {
    const [start, end] = [...row.querySelectorAll("input")].map((input) => input.value);
    return start === "" || end === "" ? null : { phase: PHASES[n], start_s: Number(start), end_s: Number(end) };
  }).filter(Boolean);
}

function drawTrack() {
  const share = (seconds) => `${(100 * seconds) / (video.duration || 1)}%`;
  const bars = phases().filter((each) => each.end_s > each.start_s).map((each) => {
    const bar = element("span", each.phase);
    bar.style.left = share(each.start_s);
    bar.style.width = share(each.end_s - each.start_s);
    return bar;
  });
  const now = element("i");
  now.style.left = share(video.currentTime);
  $("track").replaceChildren(...bars, now);
}

// Descriptions

async function describe() {
  const form = new FormData();
  form.append("video", state.file);
  form.append("phases", JSON.stringify(phases()));
  form.append("boxes", JSON.stringify(state.boxes));
  form.append("view", $("view").value);
  form.append("facts", $("facts").checked);
  $("describe").disabled = true;
  say("Sending the clip");
  try {
    state.job = (await (await call("/v1/describe", { method: "POST", body: form })).json()).id;
    $("cancel").hidden = $("progress").hidden = false;
    $("progress").value = 0;
    say("Decoding");
    for (let seen = 0, over = false; !over; ) {
      // A connection that breaks is taken up again behind the last event that arrived.
      for await (const { id, event, data } of events(await call(`/v1/jobs/${state.job}/events?after=${seen}`))) {
        seen = Number(id);
        over = await happened(event, JSON.parse(data)) || over;
      }
    }
  } catch (error) {
    say(error.message, true);
  } finally {
    $("describe").disabled = false;
    $("cancel").hidden = $("progress").hidden = true;
  }
}

async function happened(event, value) {
  if (event === "phases") {
    state.result = { model: state.model, clip: state.file.name, boxes: state.boxes, phases: value.phases };
    $("progress").max = value.phases.reduce((sum, phase) => sum + PARTS.filter((part) => part in phase).length, 0);
    $("about").textContent = `${state.file.name}, described by ${state.model}`;
    $("answers").replaceChildren(...value.phases.map(article));
    say("Describing");
  } else if (event === "answer") {
    const phase = state.result.phases.find((each) => each.phase === value.phase);
    phase[value.role] = { text: value.text, finish: value.finish };
    $(`${value.phase}-${value.role}`).textContent = value.text + (value.finish === "length" ? " […]" : "");
    $("progress").value += 1;
    moved();
  } else if (event === "facts") {
    const phase = state.result.phases.find((each) => each.phase === value.phase);
    phase.facts = { values: value.values, finish: value.finish };
    $(`${value.phase}-facts`).replaceChildren(factTables(phase));
    $("progress").value += 1;
  } else if (["done", "failed", "cancelled"].includes(value.status)) {
    say(value.status === "done" ? "Described" : value.error ? value.error.message : "Cancelled", value.status === "failed");
    $("download").disabled = $("print").disabled = !state.result;
    return true;
  }
  return false;
}

function article(phase) {
  const made = element("article");
  const go = element("button", "Show", { type: "button" });
  go.setAttribute("aria-label", `Show the start of ${phase.phase}`);
  go.addEventListener("click", () => seek(phase.start_s));
  const head = element("h3", `${phase.phase}, ${phase.start_s.toFixed(2)} to ${phase.end_s.toFixed(2)} s `);
  head.append(go);
  const images = element("div", "", { className: "images" });
  phase.images.forEach(async (url, n) => {
    const image = element("img", "", { alt: `What the model saw, image ${n + 1}` });
    images.append(image);
    image.src = URL.createObjectURL(await (await call(url)).blob());
  });
  const list = element("dl");
  for (const each of ["pedestrian", "vehicle"]) {
    list.append(element("dt", each), element("dd", "…", { id: `${phase.phase}-${each}` }));
  }
  made.append(head, images, element("p", phase.note, { className: "quiet" }), list);
  if ("facts" in phase) made.append(element("div", "", { id: `${phase.phase}-facts`, className: "facts" }));
  return made;
}

function factTables(phase) {
  const { values, finish } = phase.facts;
  if (!values) return element("p", finish === "length" ? "The facts were cut off." : "The model cannot take in a question this long.", { className: "quiet" });
  const tables = element("div", "", { className: "row" });
  for (const [subject, fields] of Object.entries(values)) {
    const table = element("table"), body = element("tbody");
    for (const [field, fact] of Object.entries(fields)) {
      const row = element("tr");
      row.append(element("th", field, { scope: "row" }), element("td", fact));
      body.append(row);
    }
    table.append(element("caption", `Facts: ${subject}`), body);
    tables.append(table);
  }
  return tables;
}

function download(name, value) {
  const link = element("a", "", { href: URL.createObjectURL(new Blob([JSON.stringify(value, null, 1)], { type: "application/json" })), download: name });
  link.click();
  URL.revokeObjectURL(link.href);
}

// Questions about the shown frame

async function ask(event) {
  event.preventDefault();
  const question = $("question").value;
  const canvas = element("canvas", "", { width: video.videoWidth, height: video.videoHeight });
  const context = canvas.getContext("2d");
  context.drawImage(video, 0, 0);
  context.lineWidth = 4;
  for (const box of state.boxes.filter(near)) {
    context.strokeStyle = COLOURS[box.role];
    context.strokeRect(...box.xywh);
  }
  const content = [
    { type: "image_url", image_url: { url: canvas.toDataURL("image/jpeg", 0.95) } },
    { type: "text", text: question },
  ];
  const answer = element("dd", "…");
  const moment = video.currentTime;
  const go = element("button", `${moment.toFixed(2)} s`, { type: "button" });
  go.setAttribute("aria-label", `Show the frame at ${moment.toFixed(2)} s`);
  go.addEventListener("click", () => seek(moment));
  const asked = element("dt");
  asked.append(go, ` ${question}`);
  $("said").prepend(asked, answer);
  try {
    const response = await call("/v1/chat/completions", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ model: state.model, messages: [{ role: "user", content }], stream: true }),
    });
    answer.textContent = "";
    for await (const { data } of events(response)) {
      if (data === "[DONE]") break;
      const chunk = JSON.parse(data);
      if (chunk.error) throw new Error(chunk.error.message);
      answer.textContent += chunk.choices[0].delta.content || "";
    }
    if (!answer.textContent) answer.textContent = "(nothing was said)";
  } catch (error) {
    answer.textContent = error.message;
    answer.className = "wrong";
  }
}

// What is pressed

$("sample").addEventListener("click", openSample);
$("view").addEventListener("change", () => { $("guessed").textContent = ""; });
$("file").addEventListener("change", (event) => open(event.target.files[0]));
for (const kind of ["dragover", "dragleave", "drop"]) {
  document.addEventListener(kind, (event) => {
    event.preventDefault();
    $("drop").classList.toggle("over", kind === "dragover");
    if (kind === "drop") open(event.dataTransfer.files[0]);
  });
}
video.addEventListener("loadedmetadata", loaded);
video.addEventListener("error", () => video.src && say("This browser cannot show the clip; it can be described all the same.", true));
for (const kind of ["timeupdate", "seeked", "loadeddata"]) video.addEventListener(kind, moved);
for (const kind of ["play", "pause"]) video.addEventListener(kind, () => { $("play").textContent = video.paused ? "Play" : "Pause"; });
$("play").addEventListener("click", () => (video.paused ? video.play() : video.pause()));
$("back").addEventListener("click", () => seek(video.currentTime - 0.1));
$("forth").addEventListener("click", () => seek(video.currentTime + 0.1));
$("seek").addEventListener("input", (event) => seek((event.target.value / 1000) * video.duration));
$("middle").addEventListener("click", () => {
  putBox([overlay.width * 0.4, overlay.height * 0.3, overlay.width * 0.2, overlay.height * 0.4]);
  overlay.focus();
});
for (const input of document.querySelectorAll("#captions, input[name=role]")) input.addEventListener("change", moved);
$("describe").addEventListener("click", describe);
$("cancel").addEventListener("click", () => call(`/v1/jobs/${state.job}`, { method: "DELETE" }).catch((error) => say(error.message, true)));
$("download").addEventListener("click", () => download("descriptions.json", state.result));
$("save").addEventListener("click", () => download("boxes.json", { boxes: state.boxes, phases: phases() }));
$("load").addEventListener("change", async (event) => {
  try {
    const given = JSON.parse(await event.target.files[0].text());
    if (!Array.isArray(given.boxes) || !Array.isArray(given.phases)) throw new Error("expected {boxes, phases}");
    take(given);
  } catch (error) {
    say(`The file cannot be used: ${error.message}`, true);
  }
  event.target.value = "";
});
$("print").addEventListener("click", () => window.print());
$("ask").addEventListener("submit", ask);
$("token-form").addEventListener("submit", (event) => {
  event.preventDefault();
  state.token = $("token").value.trim();
  greet();
});
greet();
