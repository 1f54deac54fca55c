// Talking to the server: where the chosen model answers, the key where one is wanted, refusals as errors with advice.

const server = {base: "", key: ""};

class Refused extends Error {
  constructor(status, message, retryAfter) {
    super(message);
    Object.assign(this, {status, retryAfter});
  }
}

const ADVICE = {
  0: "Is the server still running, and can this browser reach it?",
  401: "Give another one above.",
  403: "This key may not ask here.",
  413: "Send less at once; the limits are listed under “The server”.",
  429: "Others are waiting too.",
  503: "It is starting or stopping; try again in a moment.",
  500: "This is the server's fault; its log tells more.",
};

function url(path) {
  return server.base + path;
}

async function fetched(path, options = {}) {
  const headers = {...options.headers, ...(server.key && {Authorization: `Bearer ${server.key}`})};
  let response;
  try {
    response = await fetch(path, {...options, headers});
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refused(0, "The server did not answer.");
  }
  if (response.ok) return response;
  const body = await response.text();
  throw new Refused(response.status, reason(body) || response.statusText, response.headers.get("Retry-After"));
}

function reason(body) {
  try {
    const {error} = JSON.parse(body);
    return typeof error === "string" ? error : error?.message;
  } catch {
    return body.slice(0, 300);
  }
}

function post(path, content, signal) {
  const headers = {"Content-Type": "application/json"};
  return fetched(url(path), {method: "POST", headers, body: JSON.stringify(content), signal});
}

async function json(path, signal) {
  return (await fetched(path, {signal})).json();
}

// `again`, where there is one, is what a button tries.
function showRefusal(error, again) {
  if (error.name === "AbortError") return;
  say("");
  if (error.status === 401) wantKey();
  if (error.status === 401 && !server.key) return; // nothing was refused yet: the form asks for a key
  if (!(error instanceof Refused)) { problem("This page could not show the answer.", error.message); return; }
  const wait = error.retryAfter && `Try again in ${error.retryAfter} s.`;
  const title = error.status ? `The server refused this (${error.status}).` : error.message;
  const button = again && el("button", {type: "button", class: "quiet", onclick: () => again()}, "Try again");
  problem(title, error.status && error.message, wait || ADVICE[error.status], button);
}
