// The parts of an entry that need no player: what is chosen and why, images, captions, predictions, samples.

import { captionForm, timesForm } from "/page/correct.js";
import { capital, element, marked, plural } from "/page/dom.js";

// What is chosen of a view, and why: Eq. 2 of the view selection

export function selection(entry, view) {
  const train = entry.split === "train";
  const { thresholds } = entry;
  const rule = train
    ? `A phase is trained on where both road users' mean boxes exceed the thresholds (Eq. 2: pedestrian ${thresholds.pedestrian} px², vehicle ${thresholds.vehicle} px²), or one does and the other has no box.`
    : "Evaluation takes each phase once, from the best view that has it: reference views first, then more phases with a box, then the larger pedestrian.";
  const verdict = (phase) => {
    if (train) return view.left_out || phase.why || "taken";
    const best = entry.views.find((each) => each.phases.some((one) => one.number === phase.number));
    return best === view ? "taken" : `taken from ${best.name}`;
  };
  const rows = view.phases.map((phase) => {
    const said = verdict(phase);
    return element(
      "tr", {},
      element("th", { scope: "row" }, phase.name),
      element("td", { class: "number" }, phase.areas.pedestrian ? phase.areas.pedestrian.toLocaleString("en") : "–"),
      element("td", { class: "number" }, phase.areas.vehicle ? phase.areas.vehicle.toLocaleString("en") : "–"),
      element("td", { class: said === "taken" ? "taken" : "" }, said),
    );
  });
  const facts = [];
  if (view.reference === true) facts.push("listed as a reference view");
  if (view.reference === false) facts.push("not a reference view");
  if (view.rank) facts.push(`rank ${view.rank} of ${entry.views.filter((each) => each.rank).length} to evaluate on`);
  if (view.left_out) facts.push(view.left_out);
  if (view.video) facts.push(`${view.video.width} × ${view.video.height} px, ${view.video.fps.toFixed(2)} frames/s`);
  return element(
    "section", { class: "selection" },
    element("h3", {}, "View selection"),
    element("p", { class: "quiet" }, facts.join(" · ")),
    element("p", { class: "quiet" }, rule),
    rows.length ? element(
      "table", {},
      element("thead", {}, element(
        "tr", {}, element("th", { scope: "col" }, "Phase"),
        element("th", { scope: "col", class: "number" }, "Pedestrian px²"),
        element("th", { scope: "col", class: "number" }, "Vehicle px²"), element("th", { scope: "col" }, "Verdict"),
      )),
      element("tbody", {}, ...rows),
    ) : element("p", { class: "gap" }, "No phases are annotated for this view."),
  );
}

// Phases: images, captions by dimension, predictions, samples

// With `save` there are forms to correct them.
export function phases(entry, view, at, save = null) {
  return view.phases.map((phase) => {
    const captions = entry.captions.filter((each) => each.phase === phase.number);
    const predictions = entry.predictions.filter((each) => each.phase === phase.number);
    const wide = window.matchMedia("(min-width: 45rem)").matches;
    return element(
      "details",
      {
        class: "phase", "data-start": phase.start_s, "data-end": phase.end_s, id: `phase-${phase.number}`,
        open: wide || phase.number === view.phases[0].number,
      },
      element(
        "summary", {},
        element("span", { class: `dot p${phase.number}` }), element("b", {}, capital(phase.name)),
        element("small", {}, ` ${phase.start_s} to ${phase.end_s} s`),
      ),
      at ? element("button", {
        type: "button", class: "go", onclick: () => at.seek(phase.frame),
      }, "Show its key frame") : null,
      save ? timesForm(view, phase, view.video ? at : null, save) : null,
      phase.note ? element("p", { class: "gap" }, `${capital(phase.note)}.`) : null,
      images(phase),
      ...["pedestrian", "vehicle"].map((role) => said(
        role, captions.find((each) => each.role === role), predictions.find((each) => each.role === role), view, phase, save,
      )),
      samples(phase.samples),
    );
  });
}

function images(phase) {
  if (!phase.images.length) return null;
  return element(
    "div", { class: "images" },
    ...phase.images.map((image) => element(
      "figure", {},
      element("img", { src: image.url, loading: "lazy", alt: `${image.name} view of the phase ${phase.name}` }),
      element("figcaption", {}, `${image.name}${phase.prepared ? "" : ", as it would be prepared"}`),
    )),
  );
}

function said(role, caption, prediction, view, phase, save) {
  if (!caption && !prediction && !save) return null;
  const parts = [element("h4", {}, element("span", { class: `key ${role}` }), capital(role))];
  if (save) {
    parts.push(captionForm(phase, role, caption ? caption.text : "", save));
  } else if (caption) {
    const by = new Map();
    for (const { text, dimension } of caption.sentences) by.set(dimension, [...(by.get(dimension) || []), text]);
    const rows = element("dl", { class: "dimensions" }, ...[...by].map(([dimension, sentences]) => element(
      "div", {}, element("dt", {}, dimension), element("dd", { dir: "auto" }, sentences.join(" ")),
    )));
    parts.push(!prediction ? rows : element("details", {}, element("summary", {}, "Caption by dimension"), rows));
  }
  if (prediction && prediction.models.length) {
    const [own, ...others] = prediction.models;
    const compared = (model) => [
      element("h5", {}, capital(model.name), model.points === null ? "" : element("b", {}, ` ${model.points.toFixed(1)} points`),
        model.problem ? element("span", { class: "wrong" }, ` ${model.problem}`) : ""),
      element("p", { class: "caption", dir: "auto" }, ...marked(model.spans, "ins")),
    ];
    parts.push(element(
      "div", { class: "compared" },
      element("div", {}, element("h5", {}, "Reference"),
        element("p", { class: "caption", dir: "auto" }, ...marked(prediction.reference, "del"))),
      element("div", {}, ...compared(own),
        prediction.view === view.name ? null : element("p", { class: "quiet" }, `said of ${prediction.view}`)),
    ));
    for (const model of others) {
      parts.push(element("details", {}, element("summary", {}, capital(model.name),
        model.points === null ? "" : element("small", {}, ` ${model.points.toFixed(1)} points`)), ...compared(model).slice(1)));
    }
  }
  return element("div", { class: "role" }, ...parts);
}

function samples(found) {
  if (!found.length) return null;
  return element(
    "details", { class: "samples" },
    element("summary", {}, plural(found.length, "sample")),
    ...found.map((sample) => element(
      "div", { class: "sample" },
      element("p", { class: "quiet" }, [sample.kind, sample.target, sample.dimension].filter(Boolean).join(" · ")),
      ...turns(sample.turns),
    )),
  );
}

function turns(said) {
  return said.map((turn) => element("p", { class: `turn ${turn.role}`, dir: "auto" }, turn.text || "(nothing)"));
}

// Conversations

export function conversations(entry) {
  const shown = entry.images.map((url, place) => element(
    "figure", {}, element("img", { src: url, loading: "lazy", alt: `image ${place + 1}` }),
  ));
  return [
    shown.length ? element("div", { class: "images large" }, ...shown) : null,
    ...entry.samples.map((sample) => element(
      "section", { class: "phase" },
      element("p", { class: "quiet" }, [sample.kind, sample.target, sample.dimension].filter(Boolean).join(" · ")),
      ...turns(sample.turns),
      sample.options.length ? element("ol", { class: "options", type: "a" },
        ...sample.options.map((option) => element("li", {}, option))) : null,
      ...sample.answers.map((answer) => element(
        "div", { class: "compared" },
        element("div", {}, element("h5", {}, "Reference"),
          element("p", { class: "caption", dir: "auto" }, ...marked(answer.reference, "del"))),
        element("div", {}, element("h5", {}, "Answer", answer.chosen ? `: ${answer.chosen}` : "",
          answer.problem ? element("span", { class: "wrong" }, ` ${answer.problem}`) : ""),
        element("p", { class: "caption", dir: "auto" }, ...marked(answer.spans, "ins"))),
      )),
    )),
  ].filter(Boolean);
}

export function leftOut(entry, names) {
  if (!entry.skipped.length) return null;
  const rows = entry.skipped.map((skip) => element(
    "li", {},
    element("b", {}, skip.what), " ",
    [skip.view, skip.phase >= 0 ? names[skip.phase] : "", skip.role].filter(Boolean).join(", "),
    `: ${skip.why}`,
  ));
  return element("section", { id: "left-out" }, element("h3", {}, "Left out in preparing"), element("ul", {}, ...rows));
}
