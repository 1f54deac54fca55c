// The form: a group of fields for each input.

const TITLES = {text: "Text", text_pair: "Second text", question: "Question", context: "Context"};

const generates = () => GENERATES.includes(state.info.task);
const titleOf = name => state.info.task === "text-generation" ? t("Prompt") : t(TITLES[name]);
const inputOf = texts => state.fields.length > 1 ? texts : texts[state.fields[0]];

// `inputs`: each one's texts, in the order of the fields.
function fillForm(inputs) {
  at("inputs").replaceChildren();
  inputs.slice(0, generates() ? 1 : inputs.length).forEach(addGroup);
  showCode();
}

let added = 0;

function addGroup(values) {
  const remove = el("button", {type: "button", class: "link remove", onclick: () => removeGroup(group)}, t("Remove"));
  const group = el("fieldset", {class: "group"}, el("legend"), remove);
  added += 1;
  state.fields.forEach((name, place) => {
    const id = `${name}-${added}`;
    const area = el("textarea", {id, "data-name": name, required: true, rows: name === "context" ? 5 : 2, dir: "auto", spellcheck: "false"});
    area.value = values[place] ?? "";
    group.append(el("div", {class: "field"}, el("label", {for: id}, titleOf(name)), area));
  });
  at("inputs").append(group);
  showGroups();
  return group;
}

function removeGroup(group) {
  const next = group.nextElementSibling ?? group.previousElementSibling;
  group.remove();
  showGroups();
  showCode();
  next.querySelector("textarea").focus();
}

function showGroups() {
  const groups = [...at("inputs").children];
  groups.forEach((group, place) => {
    const legend = group.querySelector("legend"), [label, another] = group.querySelectorAll("label");
    legend.classList.toggle("visually-hidden", groups.length < 2 || !another);
    legend.textContent = t("Input {0}", place + 1);
    const remove = group.querySelector(".remove");
    remove.hidden = groups.length < 2;
    remove.setAttribute("aria-label", t("Remove input {0}", place + 1));
    if (!another) label.textContent = groups.length < 2 ? titleOf(state.fields[0]) : `${titleOf(state.fields[0])} ${place + 1}`;
  });
  at("more").hidden = generates() || groups.length >= Math.min(8, state.info.limits.max_inputs);
}

function readGroups() {
  return [...at("inputs").children].map(group => Object.fromEntries([...group.querySelectorAll("textarea")].map(area => [area.dataset.name, area.value])));
}
