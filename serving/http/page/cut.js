// Of a text that is longer than the model reads, the answer says so.

// The places of the inputs that were not read in full, as a header of the answer tells them.
function cutPlaces(response) {
  return (response.headers.get("X-Truncated") ?? "").split(",").filter(Boolean).map(Number);
}

// Generation from a prompt keeps its end, everything else the beginning.
function cutNote(places, inputs) {
  if (!places.length) return null;
  const one = places.length === 1, thing = state.fields.length > 1 ? "input" : "text";
  const numbers = new Intl.ListFormat("en").format(places.map(place => `${place + 1}`));
  const which = inputs === 1 ? `This ${thing} is` : one ? `Text ${numbers} is` : `Texts ${numbers} are`;
  const part = state.info.task === "text-generation" ? "beginning" : "end";
  const tokens = count(state.info.limits.max_length);
  return el("p", {class: "cut"}, `${which} longer than what the model reads, which is ${tokens} tokens: ${one ? "its" : "their"} ${part} was not read.`);
}
