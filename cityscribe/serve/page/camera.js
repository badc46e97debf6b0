// Where the camera of a clip is: on a mast the street stands still, in a vehicle that drives all of the picture changes.
"use strict";

const WIDE = 32, HIGH = 18; // the picture is looked at this small
const MOMENTS = 6;
const STEP = 14; // of 255: less is noise
const MOVING = 0.35; // share of the picture that differs between two moments of a driving vehicle

// { view: "overhead" or "vehicle", by: in words }, null where the browser cannot show the clip.
async function cameraOf(file) {
  const name = file.name.toLowerCase();
  if (/overhead|camera\d/.test(name)) return { view: "overhead", by: "from the name of the file" };
  if (/vehicle|dash|ego/.test(name)) return { view: "vehicle", by: "from the name of the file" };
  const clip = document.createElement("video");
  clip.muted = true;
  clip.preload = "auto";
  const address = URL.createObjectURL(file);
  try {
    await until(clip, "loadeddata", () => { clip.src = address; });
    const pictures = [];
    for (let n = 0; n < MOMENTS; n += 1) {
      await until(clip, "seeked", () => { clip.currentTime = (clip.duration * (n + 0.5)) / MOMENTS; });
      pictures.push(greys(clip));
    }
    const changes = pictures.slice(1).map((picture, n) => changed(pictures[n], picture));
    const view = Math.max(...changes) > MOVING ? "vehicle" : "overhead";
    return { view, by: "from how much of the picture moves" };
  } finally {
    clip.removeAttribute("src");
    clip.load();
    URL.revokeObjectURL(address);
  }
}

function until(clip, event, begin) {
  return new Promise((done, failed) => {
    clip.addEventListener(event, done, { once: true });
    clip.addEventListener("error", failed, { once: true });
    setTimeout(failed, 10000);
    begin();
  });
}

function greys(clip) {
  const canvas = Object.assign(document.createElement("canvas"), { width: WIDE, height: HIGH });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(clip, 0, 0, WIDE, HIGH);
  const pixels = context.getImageData(0, 0, WIDE, HIGH).data;
  return Array.from({ length: WIDE * HIGH }, (_, n) => (pixels[4 * n] + pixels[4 * n + 1] + pixels[4 * n + 2]) / 3);
}

const changed = (one, other) => one.filter((grey, n) => Math.abs(grey - other[n]) > STEP).length / one.length;
