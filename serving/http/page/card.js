// The model card as elements: the Markdown that cards use; anything else stays text.

function parseMarkdown(source) {
  const lines = source.replace(/^---\n[\s\S]*?\n---\n/, "").split("\n"), blocks = [];
  while (lines.length) {
    const line = lines[0];
    if (!line.trim() || line.startsWith("![")) lines.shift(); // images are in the bundle, which is not served
    else if (line.startsWith("```")) blocks.push(takeFence(lines));
    else if (/^#{1,4} /.test(line)) blocks.push(makeHeading(lines.shift()));
    else if (line.startsWith("|")) blocks.push(makeTable(takeWhile(lines, each => each.startsWith("|"))));
    else if (/^[-*] /.test(line)) blocks.push(el("ul", {}, ...takeWhile(lines, each => /^[-*] /.test(each)).map(each => el("li", {}, ...parseInline(each.slice(2))))));
    else blocks.push(el("p", {}, ...parseInline(takeParagraph(lines))));
  }
  return blocks;
}

function takeWhile(lines, wanted) {
  const found = [];
  while (lines.length && wanted(lines[0])) found.push(lines.shift());
  return found;
}

const takeParagraph = lines => [lines.shift(), ...takeWhile(lines, each => each.trim() && !/^(#|\||```|[-*] )/.test(each))].join(" ");

function takeFence(lines) {
  lines.shift();
  const code = takeWhile(lines, each => !each.startsWith("```"));
  lines.shift();
  return el("pre", {tabindex: "0", "aria-label": t("code")}, el("code", {}, code.join("\n")));
}

function makeHeading(line) {
  const depth = line.indexOf(" ");
  return el(depth === 1 ? "h3" : "h4", {}, ...parseInline(line.slice(depth + 1)));
}

function makeTable(lines) {
  const [head, ...rows] = lines.filter(line => !/^\|[\s:|-]+\|?$/.test(line)).map(line => line.replace(/^\||\|$/g, "").split("|"));
  // An empty header cell would be read out as a header.
  const makeCell = (text, name, attributes) => text ? el(name, attributes, ...parseInline(text)) : el("td", {});
  const row = (cells, name, attributes) => el("tr", {}, ...cells.map(cell => makeCell(cell.trim(), name, attributes)));
  return el("div", {class: "scroll", tabindex: "0", role: "group", "aria-label": t("table")},
    el("table", {}, el("thead", {}, row(head, "th", {scope: "col"})), el("tbody", {}, ...rows.map(cells => row(cells, "td", {})))));
}

function parseInline(text) {
  return text.split(/(`[^`]+`|\*\*[^*]+\*\*|\[[^\]]+\]\([^)\s]+\))/).filter(Boolean).map(piece => {
    if (/^`.+`$/.test(piece)) return el("code", {}, piece.slice(1, -1));
    if (/^\*\*.+\*\*$/.test(piece)) return el("strong", {}, piece.slice(2, -2));
    const link = /^\[([^\]]+)\]\((https?:\/\/[^)\s]+)\)$/.exec(piece);
    return link ? el("a", {href: link[2], rel: "noopener noreferrer"}, link[1]) : piece;
  });
}

// A card that arrives after another model was chosen is dropped.
async function loadCard() {
  const place = at("card"), {info} = state;
  if (!at("card-part").open || place.dataset.of === info.bundle_sha256) return;
  place.replaceChildren();
  delete place.dataset.of;
  try {
    const blocks = parseMarkdown(await (await fetchOk(urlOf("card"))).text());
    if (state.info !== info) return;
    place.replaceChildren(...blocks);
    place.dataset.of = info.bundle_sha256;
  } catch (error) {
    if (state.info === info) place.replaceChildren(el("p", {}, t("The card could not be read: {0}", error.message)));
  }
}
