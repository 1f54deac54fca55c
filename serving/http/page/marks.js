// A text with marked spans. Offsets count code points, JavaScript strings UTF-16 units.

function markSpans(text, spans, mark) {
  const points = Array.from(text), pieces = [];
  let end = 0;
  for (const span of [...spans].sort((a, b) => a.start - b.start)) {
    if (span.start < end) continue;
    pieces.push(points.slice(end, span.start).join(""), mark(span, points.slice(span.start, span.end).join("")));
    end = span.end;
  }
  return [...pieces, points.slice(end).join("")].filter(piece => piece !== "");
}

function passage(label, text, spans, mark, extra = "") {
  return el("div", {class: `passage ${extra}`, dir: "auto", tabindex: "0", role: "group", "aria-label": label}, ...markSpans(text, spans, mark));
}

const hues = new Map();

function hue(type) {
  if (!hues.has(type)) hues.set(type, hues.size % 6);
  return `hue${hues.get(type)}`;
}

function markEntity(entity, text) {
  const type = entity.entity_group ?? entity.entity;
  return el("mark", {class: hue(type)}, text, el("span", {class: "tag"}, type));
}
