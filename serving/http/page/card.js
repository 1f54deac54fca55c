// The bundle's README as elements: the part of Markdown that cards are written in. What is not understood stays text.

function markdown(source) {
  const lines = source.replace(/^---\n[\s\S]*?\n---\n/, "").split("\n"), blocks = [];
  while (lines.length) {
    const line = lines[0];
    if (!line.trim() || line.startsWith("![")) lines.shift(); // figures lie in the bundle, which is not served
    else if (line.startsWith("```")) blocks.push(fence(lines));
    else if (/^#{1,4} /.test(line)) blocks.push(heading(lines.shift()));
    else if (line.startsWith("|")) blocks.push(tableOf(taken(lines, each => each.startsWith("|"))));
    else if (/^[-*] /.test(line)) blocks.push(el("ul", {}, ...taken(lines, each => /^[-*] /.test(each)).map(each => el("li", {}, ...inline(each.slice(2))))));
    else blocks.push(el("p", {}, ...inline(paragraph(lines))));
  }
  return blocks;
}

function taken(lines, wanted) {
  const found = [];
  while (lines.length && wanted(lines[0])) found.push(lines.shift());
  return found;
}

function paragraph(lines) {
  return [lines.shift(), ...taken(lines, each => each.trim() && !/^(#|\||```|[-*] )/.test(each))].join(" ");
}

function fence(lines) {
  lines.shift();
  const code = taken(lines, each => !each.startsWith("```"));
  lines.shift();
  return el("pre", {tabindex: "0", "aria-label": "code"}, el("code", {}, code.join("\n")));
}

function heading(line) {
  const depth = line.indexOf(" ");
  return el(depth === 1 ? "h3" : "h4", {}, ...inline(line.slice(depth + 1)));
}

function tableOf(lines) {
  const [head, ...rows] = lines.filter(line => !/^\|[\s:|-]+\|?$/.test(line)).map(line => line.replace(/^\||\|$/g, "").split("|"));
  // A head that says nothing is none, and would be read out as one.
  const cellOf = (text, name, attributes) => text ? el(name, attributes, ...inline(text)) : el("td", {});
  const row = (cells, name, attributes) => el("tr", {}, ...cells.map(cell => cellOf(cell.trim(), name, attributes)));
  return el("div", {class: "scroll", tabindex: "0", role: "group", "aria-label": "table"},
    el("table", {}, el("thead", {}, row(head, "th", {scope: "col"})), el("tbody", {}, ...rows.map(cells => row(cells, "td", {})))));
}

function inline(text) {
  return text.split(/(`[^`]+`|\*\*[^*]+\*\*|\[[^\]]+\]\([^)\s]+\))/).filter(Boolean).map(piece => {
    if (/^`.+`$/.test(piece)) return el("code", {}, piece.slice(1, -1));
    if (/^\*\*.+\*\*$/.test(piece)) return el("strong", {}, piece.slice(2, -2));
    const link = /^\[([^\]]+)\]\((https?:\/\/[^)\s]+)\)$/.exec(piece);
    return link ? el("a", {href: link[2], rel: "noopener noreferrer"}, link[1]) : piece;
  });
}

// A card that comes after another model was chosen is of the model before.
async function loadCard() {
  const place = at("card"), {info} = state;
  if (!at("card-part").open || place.dataset.of === info.bundle_sha256) return;
  place.replaceChildren();
  delete place.dataset.of;
  try {
    const blocks = markdown(await (await fetched(url("card"))).text());
    if (state.info !== info) return;
    place.replaceChildren(...blocks);
    place.dataset.of = info.bundle_sha256;
  } catch (error) {
    if (state.info === info) place.replaceChildren(el("p", {}, `The card could not be read: ${error.message}`));
  }
}
