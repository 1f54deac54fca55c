// Labels and numbers as a table of bars: a chart to the eye, a table to a screen reader.

const SHOWN = 6;

function makeBars(caption, rows) {
  const body = el("tbody");
  const table = el("table", {class: "bars"}, el("caption", {}, el("span", {class: "visually-hidden"}, caption)), body);
  const show = most => body.replaceChildren(...rows.slice(0, most).map(makeBar));
  show(SHOWN);
  if (rows.length <= SHOWN + 1) { show(rows.length); return table; }
  const all = el("button", {type: "button", class: "link", onclick: () => { show(rows.length); all.remove(); }}, t("Show all {0}", rows.length));
  return el("div", {}, table, all);
}

function makeBar({label, tag, share, text, chosen, kind, tick, tickName, act}) {
  const fill = el("div", {class: `fill ${kind ?? ""}`});
  const track = el("div", {class: "track", "aria-hidden": "true"}, fill);
  if (tick !== undefined) {
    const mark = track.appendChild(el("div", {class: "tick", title: `${tickName ?? t("threshold")} ${formatPercent(tick)}`}));
    mark.style.left = `${100 * tick}%`;
  }
  fill.style.width = `${100 * Math.min(1, Math.max(0, share))}%`;
  const name = el("th", {scope: "row"}, el("bdi", {}, label), tag && el("span", {class: "tag"}, tag), chosen ? el("span", {class: "visually-hidden"}, t(" (answered)")) : null);
  return el("tr", {class: chosen ? "chosen" : ""}, name, el("td", {}, track), el("td", {class: "score"}, text), act && el("td", {class: "act"}, act));
}
