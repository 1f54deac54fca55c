// Which model the page is of, and how it begins.

const state = {info: null, paths: [], fields: ["text"], asking: null, choosing: null};

// The page is one model's until it knows all of another: address, facts and fields change at once.
async function choose(base) {
  const stopper = new AbortController(), {signal} = stopper;
  state.asking?.abort();
  state.choosing?.abort();
  state.choosing = stopper;
  at("form").inert = true;
  at("answers").replaceChildren();
  problem();
  try {
    const [info, document] = await Promise.all([json(`${base}info`, signal), json(`${base}openapi.json`, signal)]);
    server.base = base;
    Object.assign(state, {info, paths: Object.keys(document.paths), fields: fieldsOf(document)});
  } finally {
    if (state.choosing === stopper) at("form").inert = false;
  }
  showModel();
}

function fieldsOf(document) {
  const one = document.components.schemas.Request.properties.inputs.oneOf[0];
  return Object.keys(one.properties ?? {text: {}});
}

// What was typed for the model before is kept where this one has the same fields.
function showModel() {
  const typed = textGroups().map(texts => state.fields.map(name => texts[name])).filter(values => values.some(Boolean));
  const least = state.info.task === "feature-extraction" ? 2 : 1;
  while (typed.length < least) typed.push([]);
  at("options").replaceChildren(...(generates() ? generationFields() : []));
  introduce();
  fillForm(typed);
  loadCard();
}

async function offerModels() {
  if (!state.paths.includes("/models")) return;
  const {models} = await json("models"), names = models.map(model => model.name);
  at("model").replaceChildren(...names.map(name => el("option", {value: name}, name)));
  at("chooser").hidden = names.length < 2;
}

async function chooseAnother() {
  try {
    await choose(`models/${encodeURIComponent(at("model").value)}/`);
  } catch (error) {
    if (error.name === "AbortError") return;
    at("model").value = state.info.served_as;
    showRefusal(error);
  }
}

// Texts behind the #, parted by &, are tried at once; browsers keep that part of an address to themselves.
function tryAddress() {
  if (location.hash.length < 2 || !state.info || at("form").inert) return;
  const texts = location.hash.slice(1).split("&").map(decoded), inputs = [];
  while (texts.length) inputs.push(texts.splice(0, state.fields.length));
  fillForm(inputs);
  at("form").requestSubmit();
}

// As it stands where it is not percent-encoded, such as "50%".
function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

async function start() {
  try {
    await choose("");
    await offerModels();
    tryAddress();
  } catch (error) {
    if (!state.info) at("name").textContent = location.host;
    showRefusal(error, start);
  }
}

at("form").addEventListener("submit", ask);
at("form").addEventListener("input", showCode);
at("form").addEventListener("keydown", event => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) at("form").requestSubmit();
});
at("stop").addEventListener("click", stop);
at("more").addEventListener("click", () => { addGroup([]).querySelector("textarea").focus(); showCode(); });
at("model").addEventListener("change", chooseAnother);
at("key-form").addEventListener("submit", useKey);
at("links").addEventListener("click", follow);
at("card-part").addEventListener("toggle", loadCard);
// The # is for texts.
at("skip").addEventListener("click", event => { event.preventDefault(); at("try").focus(); });
addEventListener("hashchange", tryAddress);
document.querySelectorAll("[data-copy]").forEach(button => button.addEventListener("click", () => copy(button)));
rememberTheme();
start();
lookReady();
setInterval(() => { if (!document.hidden) lookReady(); }, 15000);
