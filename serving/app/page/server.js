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
  401: "Give the API key below, then ask again.",
  403: "This key may not ask here.",
  413: "Send less at once; the limits are listed beside.",
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

async function json(path) {
  return (await fetched(path)).json();
}

function showRefusal(error) {
  if (error.name === "AbortError") return;
  if (!(error instanceof Refused)) { problem("This page could not show the answer.", error.message); return; }
  const wait = error.retryAfter && `Try again in ${error.retryAfter} s.`;
  const title = error.status ? `The server refused this (${error.status}).` : error.message;
  problem(title, error.status && error.message, wait || ADVICE[error.status]);
  if (error.status === 401) {
    at("key-form").hidden = false;
    at("key").focus();
  }
}
