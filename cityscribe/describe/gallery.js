"use strict";
const list = document.getElementById("cards");
const cards = Array.from(list.children);
const order = document.getElementById("order");
const show = document.getElementById("show");
const count = document.getElementById("count");
const keys = {
  table: (card) => Number(card.dataset.place),
  sure: (card) => -Number(card.dataset.least === "2" ? "-1" : card.dataset.least),
  unsure: (card) => Number(card.dataset.least),
  problem: (card) => (card.dataset.problem ? 0 : 1),
};
const kept = {
  all: () => true,
  pedestrian: (card) => card.dataset.present.split(" ").includes("pedestrian"),
  vehicle: (card) => card.dataset.present.split(" ").includes("vehicle"),
  nobody: (card) => card.dataset.present === "",
  problem: (card) => card.dataset.problem !== "",
};
function arrange() {
  const key = keys[order.value];
  const sorted = cards.slice().sort((a, b) => key(a) - key(b) || keys.table(a) - keys.table(b));
  let shown = 0;
  for (const card of sorted) {
    card.hidden = !kept[show.value](card);
    shown += card.hidden ? 0 : 1;
    list.append(card);
  }
  count.textContent = shown + " of " + cards.length + " shown";
}
order.addEventListener("change", arrange);
show.addEventListener("change", arrange);
document.getElementById("controls").hidden = false;
arrange();
