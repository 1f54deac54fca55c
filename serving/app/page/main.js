// The form: one group of fields an input, asked together; a model to choose where there are several.

const state = {info: null, paths: [], fields: ["text"], asking: null};
// What makes an answer tell of every label, and not only of those it finds.
const ALL = {"multi-label-classification": {parameters: {threshold: 0}}};
const TITLES = {text: "Text", text_pair: "Second text", question: "Question", context: "Context"};

const titleOf = name => state.info.task === "text-generation" ? "Prompt" : TITLES[name];

function addGroup(values = []) {
  const number = at("inputs").children.length + 1;
  const group = el("fieldset", {class: "group"}, el("legend", {}, `Input ${number}`));
  state.fields.forEach((name, place) => {
    const id = `${name}-${number}`;
    const area = el("textarea", {id, "data-name": name, required: true, rows: name === "context" ? 5 : 2, dir: "auto", spellcheck: "false"});
    area.value = values[place] ?? "";
    group.append(el("div", {class: "field"}, el("label", {for: id}, titleOf(name)), area));
  });
  at("inputs").append(group);
  showGroups();
  return group;
}

function showGroups() {
  const groups = [...at("inputs").children];
  groups.forEach((group, place) => {
    const legend = group.querySelector("legend"), [label, another] = group.querySelectorAll("label");
    legend.classList.toggle("unseen", groups.length < 2 || !another);
    legend.textContent = `Input ${place + 1}`;
    if (!another) label.textContent = groups.length < 2 ? titleOf(state.fields[0]) : `${titleOf(state.fields[0])} ${place + 1}`;
  });
  at("more").hidden = generates() || groups.length >= Math.min(8, state.info.limits.max_inputs);
}

const generates = () => GENERATES.includes(state.info.task);
const askPath = () => generates() ? "v1/completions" : "predict";
const inputOf = texts => state.fields.length > 1 ? texts : texts[state.fields[0]];

function textGroups() {
  return [...at("inputs").children].map(group => Object.fromEntries([...group.querySelectorAll("textarea")].map(area => [area.dataset.name, area.value])));
}

function askBody(groups) {
  if (generates()) return {prompt: Object.values(groups[0])[0] ?? "", ...generationOptions()};
  return {inputs: groups.map(inputOf)};
}

async function ask(event) {
  event?.preventDefault();
  const groups = textGroups(), stopper = new AbortController();
  state.asking?.abort();
  state.asking = stopper;
  busy(true);
  problem();
  try {
    if (generates()) await generate(groups[0], stopper.signal);
    else showAnswers(groups, await (await post("predict", {...askBody(groups), ...ALL[state.info.task]}, stopper.signal)).json());
    say("The answer is there.");
  } catch (error) {
    if (error.name !== "AbortError") at("answers").replaceChildren();
    showRefusal(error);
  } finally {
    busy(false);
  }
}

function showAnswers(groups, answers) {
  const vectors = state.info.task === "feature-extraction";
  const shown = vectors ? [el("article", {"aria-label": "Answer"}, ...similarities(groups, answers))]
    : groups.map((texts, place) => answerArticle(texts, answers[place], groups.length > 1));
  at("answers").replaceChildren(...shown);
}

function busy(on) {
  at("answers").setAttribute("aria-busy", String(on));
  at("ask").disabled = on;
  at("stop").hidden = !(on && generates());
  if (on) say("Asking…");
}

async function choose(base) {
  server.base = base;
  state.info = await json(url("info"));
  const document = await json(url("openapi.json"));
  state.paths = Object.keys(document.paths);
  const one = document.components.schemas.Request.properties.inputs.oneOf[0];
  state.fields = Object.keys(one.properties ?? {text: {}});
  at("inputs").replaceChildren();
  at("answers").replaceChildren();
  at("options").replaceChildren(...(generates() ? generationFields() : []));
  introduce();
  addGroup();
  if (state.info.task === "feature-extraction") addGroup();
  showCode();
  await loadCard();
}

async function offerModels() {
  if (!state.paths.includes("/models")) return;
  const {models} = await json("models"), names = models.map(model => model.name);
  if (names.length < 2) return;
  at("model").replaceChildren(...names.map(name => el("option", {value: name}, name)));
  at("chooser").hidden = false;
  at("model").addEventListener("change", () => choose(`models/${encodeURIComponent(at("model").value)}/`).catch(showRefusal));
}

// Texts behind the #, parted by &, are tried at once; browsers keep that part of an address to themselves.
function tryAddress() {
  if (location.hash.length < 2) return;
  const texts = location.hash.slice(1).split("&").map(decodeURIComponent);
  at("inputs").replaceChildren();
  for (let place = 0; place < texts.length; place += state.fields.length) addGroup(texts.slice(place, place + state.fields.length));
  showCode();
  at("form").requestSubmit();
}

async function start() {
  try {
    await choose("");
    await offerModels();
    tryAddress();
  } catch (error) {
    showRefusal(error);
  }
}

at("form").addEventListener("submit", ask);
at("form").addEventListener("input", showCode);
at("form").addEventListener("keydown", event => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) at("form").requestSubmit();
});
at("stop").addEventListener("click", () => state.asking.abort());
at("more").addEventListener("click", () => { addGroup().querySelector("textarea").focus(); showCode(); });
at("key-form").addEventListener("submit", async event => {
  event.preventDefault();
  server.key = at("key").value;
  at("key-form").hidden = true;
  problem();
  if (state.info) await ask(); else await start();
});
at("card-part").addEventListener("toggle", loadCard);
document.querySelectorAll("[data-copy]").forEach(button => button.addEventListener("click", () => copy(button)));
rememberTheme();
start();
lookReady();
setInterval(() => { if (!document.hidden) lookReady(); }, 15000);
