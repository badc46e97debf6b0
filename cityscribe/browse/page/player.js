// A video whose frames are known by number, with its boxes drawn over it.
//
// The browser says which frame it shows by its time (requestVideoFrameCallback); the times of all frames come from the
// server. Where a browser cannot play the codec, the server decodes the frames and they are shown as pictures.

import { capital, element } from "/page/dom.js";

const COLOURS = { pedestrian: "#00ff00", vehicle: "#3d6bff" };
const GENERATED_DASH = [10, 6];

// The last frame whose time is not later; `times` increase.
export function frameAt(times, time) {
  let low = 0, high = times.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (times[middle] <= time + 0.0006) low = middle;
    else high = middle - 1;
  }
  return low;
}

export function player(view, tell) {
  const info = view.video, times = info.times_s, last = times.length - 1;
  const video = element("video", { muted: true, playsinline: true, preload: "auto" });
  video.muted = true;
  const picture = element("canvas", { width: info.width, height: info.height, hidden: true, class: "picture" });
  const overlay = element("canvas", { width: info.width, height: info.height, class: "overlay", role: "img" });
  const stage = element("div", { class: "stage" }, video, picture, overlay);
  stage.style.aspectRatio = `${info.width} / ${info.height}`;
  stage.style.setProperty("--ratio", info.width / info.height);
  const byFrame = new Map();
  for (const [role, boxes] of Object.entries(view.boxes)) {
    for (const box of boxes) {
      const frame = Math.min(box.frame, last);
      if (!byFrame.has(frame)) byFrame.set(frame, []);
      byFrame.get(frame).push({ ...box, role });
    }
  }
  const boxed = [...byFrame.keys()].sort((a, b) => a - b);
  const self = {
    stage, mode: "video", frame: 0, boxes: true, playing: false, boxed,
    byFrame, seek, step, play, toggleBoxes, close, nextBoxed,
    preview: null, drawn: null, redraw: draw, // of who corrects boxes: a box not yet saved, what takes one that is drawn
  };
  const counts = "requestVideoFrameCallback" in video;
  let wanted = 0, first = null, closed = false, request = 0, waiting = 0, soon = false;

  // Whether frames can be sought: not before the first one was shown, whose time all others are counted from.
  const ready = () => (counts ? first !== null : video.readyState > 0);

  function middle(frame) {
    const end = frame < last ? times[frame + 1] : info.duration_s;
    return (times[frame] + Math.max(end, times[frame])) / 2;
  }

  function shown(frame) {
    self.frame = frame;
    draw();
    tell(self);
  }

  function draw() {
    const context = overlay.getContext("2d");
    context.clearRect(0, 0, overlay.width, overlay.height);
    const here = byFrame.get(self.frame) || [];
    overlay.setAttribute("aria-label", here.length
      ? `Boxes: ${here.map((box) => `${box.role} at ${box.xywh.map(Math.round).join(", ")}`).join("; ")}`
      : "No box on this frame");
    const width = Math.max(2, info.width / 320);
    if (self.preview) outline(context, self.preview, width, [width * 2, width * 1.5]);
    if (!self.boxes) return;
    for (const box of here) {
      outline(context, box, width, box.generated ? GENERATED_DASH : []);
      context.font = `600 ${Math.max(12, info.width / 45)}px system-ui, sans-serif`;
      context.fillStyle = COLOURS[box.role];
      context.fillText(capital(box.role), box.xywh[0], Math.max(box.xywh[1] - width * 2, 14));
    }
  }

  // A white line lies under the coloured one, so that blue is seen on blue and green on grass.
  function outline(context, box, width, dash) {
    context.setLineDash([]);
    context.lineWidth = width + 2;
    context.strokeStyle = "#fff";
    context.strokeRect(...box.xywh);
    context.setLineDash(dash);
    context.lineWidth = width;
    context.strokeStyle = COLOURS[box.role];
    context.strokeRect(...box.xywh);
  }

  // A box that is drawn with the mouse, the pen or a finger

  let start = null;

  function place(event) {
    const box = overlay.getBoundingClientRect();
    const within = (value, most) => Math.min(Math.max(value, 0), most);
    return [
      within(((event.clientX - box.left) / box.width) * info.width, info.width),
      within(((event.clientY - box.top) / box.height) * info.height, info.height),
    ];
  }

  const between = ([x, y], [left, top]) => [Math.min(x, left), Math.min(y, top), Math.abs(x - left), Math.abs(y - top)];

  overlay.addEventListener("pointerdown", (event) => {
    if (!self.drawn || self.playing) return;
    overlay.setPointerCapture(event.pointerId);
    start = place(event);
  });
  overlay.addEventListener("pointermove", (event) => {
    if (!start) return;
    const xywh = between(place(event), start);
    if (xywh[2] > 2 && xywh[3] > 2) self.drawn(xywh);
  });
  overlay.addEventListener("pointerup", () => { start = null; });

  // The video element

  function presented(now, metadata) {
    if (closed || self.mode !== "video") return;
    // Files may start later than at 0: the first picture shown is the first frame.
    const opened = first === null;
    if (opened) first = metadata.mediaTime;
    shown(frameAt(times, metadata.mediaTime - first));
    request = video.requestVideoFrameCallback(presented);
    if (opened) begin();
  }

  function timed() {
    if (self.mode === "video") shown(frameAt(times, video.currentTime));
  }

  function begin() {
    if (wanted > 0) seek(wanted);
    if (soon) play();
  }

  video.addEventListener("error", fallBack);
  video.addEventListener("loadedmetadata", () => { if (!video.videoWidth) fallBack(); });
  video.addEventListener("ended", () => { self.playing = false; tell(self); });
  if (counts) {
    request = video.requestVideoFrameCallback(presented);
  } else {
    video.addEventListener("timeupdate", timed);
    video.addEventListener("loadeddata", begin, { once: true });
  }

  // Frames from the server

  function fallBack() {
    if (closed || self.mode === "frames") return;
    self.mode = "frames";
    self.playing = false;
    video.remove();
    picture.hidden = false;
    seek(wanted).then(() => { if (soon) play(); });
  }

  async function load(frame) {
    const image = new Image();
    image.src = `${info.frames_url}${frame}`;
    await image.decode();
    return image;
  }

  async function showPicture(frame) {
    const number = (waiting += 1);
    try {
      const image = await load(frame);
      if (closed || number !== waiting) return false;
      picture.getContext("2d").drawImage(image, 0, 0, picture.width, picture.height);
    } catch {
      if (closed || number !== waiting) return false;
      const context = picture.getContext("2d");
      context.fillStyle = "#222";
      context.fillRect(0, 0, picture.width, picture.height);
      context.fillStyle = "#fff";
      context.font = `${Math.max(12, info.width / 30)}px system-ui, sans-serif`;
      context.fillText(`Frame ${frame} cannot be decoded.`, 10, info.height / 2);
    }
    shown(frame);
    return true;
  }

  async function run() {
    while (!closed && self.playing && self.mode === "frames") {
      const began = performance.now();
      if (self.frame >= last) break;
      const next = self.frame + 1;
      if (!(await showPicture(next))) return;
      const due = 1000 * (times[next] - times[next - 1]);
      await new Promise((done) => { setTimeout(done, Math.max(due - (performance.now() - began), 0)); });
    }
    self.playing = false;
    tell(self);
  }

  // What the page calls

  function seek(frame) {
    wanted = Math.min(Math.max(Math.round(frame), 0), last);
    if (self.mode === "frames") {
      self.playing = false;
      return showPicture(wanted);
    }
    pause();
    if (ready()) video.currentTime = Math.min(middle(wanted), video.duration || Infinity);
    return null;
  }

  function pause() {
    if (!self.playing) return;
    self.playing = false;
    video.pause();
  }

  function step(count) {
    return seek((self.mode === "video" && (video.seeking || !ready()) ? wanted : self.frame) + count);
  }

  function nextBoxed(direction) {
    const after = direction > 0 ? boxed.find((frame) => frame > self.frame) : boxed.findLast((frame) => frame < self.frame);
    if (after !== undefined) seek(after);
  }

  async function play() {
    if (self.playing) {
      if (self.mode === "video") pause();
      self.playing = false;
      wanted = self.frame;
      return tell(self);
    }
    if (self.mode === "video" && !ready()) {
      soon = true;
      return null;
    }
    soon = false;
    if (self.frame >= last) await seek(0);
    self.playing = true;
    wanted = 0;
    tell(self);
    if (self.mode === "frames") return run();
    try {
      await video.play();
    } catch {
      self.playing = false;
      tell(self);
    }
    return null;
  }

  function toggleBoxes() {
    self.boxes = !self.boxes;
    draw();
    tell(self);
  }

  function close() {
    closed = true;
    self.playing = false;
    if (request && "cancelVideoFrameCallback" in video) video.cancelVideoFrameCallback(request);
    video.removeAttribute("src");
    video.load();
  }

  video.src = info.url;
  return self;
}
