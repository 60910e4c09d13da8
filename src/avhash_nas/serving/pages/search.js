// The search page. Ids and labels are user input: they are inserted as text, never as HTML.

const $ = (id) => document.getElementById(id);
const state = { health: null, query: null, request: null, listing: 0, shown: 0, preview: null };

function make(tag, properties = {}, ...children) {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children.filter((child) => child !== null));
  return node;
}

const count = (number, noun) => `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : "s"}`;

function mebibytes(bytes) {
  return `${(bytes / 2 ** 20).toLocaleString("en", { maximumFractionDigits: bytes < 2 ** 20 ? 3 : 1 })} MiB`;
}

// ---- queries

async function get(address) {
  const response = await fetch(address);
  const data = await response.json();
  if (!response.ok) throw new Error(data.error);
  return data;
}

/** A request that reports upload progress, which fetch cannot. */
function send(method, address, body, sent) {
  const request = new XMLHttpRequest();
  state.request?.abort();
  state.request = request;
  return new Promise((resolve, reject) => {
    request.open(method, address);
    request.responseType = "json";
    request.upload.onprogress = (event) => sent(event.loaded / event.total);
    request.onload = () => {
      if (request.status < 300) resolve(request.response);
      else reject(new Error(request.response?.error ?? `the service returned status ${request.status}`));
    };
    request.onerror = () => reject(new Error("the service cannot be reached"));
    request.onabort = () => resolve(null);
    request.send(body);
  });
}

function options() {
  const parameters = new URLSearchParams({ top: $("top").value });
  if (state.health.rerank) parameters.set("rerank", $("rerank").checked);
  return parameters;
}

function idQuery(id) {
  return { title: id, show: () => storedFrame(id), preview: null, run: (sent) => {
    const parameters = options();
    parameters.set("id", id);
    return send("GET", `/api/search?${parameters}`, null, sent);
  } };
}

function textQuery(text, label) {
  return { title: text, show: () => make("p", { className: "quiet", textContent: label ? `of class ${label}` : "" }), preview: null, run: (sent) => {
    const parameters = options();
    parameters.set("text", text);
    if (label) parameters.set("label", label);
    return send("GET", `/api/search?${parameters}`, null, sent);
  } };
}

function fileQuery(file) {
  const preview = URL.createObjectURL(file);
  return { title: file.name, show: () => localFrame(preview), preview, run: (sent) => {
    const form = new FormData();
    for (const [name, value] of options()) form.set(name, value);
    form.set("video", file);
    return send("POST", "/api/search", form, sent);
  } };
}

async function search(query) {
  if (state.preview && state.preview !== query.preview) URL.revokeObjectURL(state.preview);
  state.query = query;
  state.preview = query.preview;
  showProblem(null);
  busy(query.preview ? "Uploading" : "Searching", 0);
  try {
    const reply = await query.run((share) => busy(share < 1 ? "Uploading" : "Decoding and searching", share));
    if (state.query !== query) return;
    busy(null);
    if (reply) show(query, reply);
  } catch (error) {
    if (state.query !== query) return;
    busy(null);
    showProblem(error.message);
  }
}

function searchById(id) {
  history.pushState({ id }, "", `/?${new URLSearchParams({ id })}`);
  search(idQuery(id));
}

function searchByText(text, label) {
  history.pushState({ text, label }, "", `/?${new URLSearchParams(label ? { text, label } : { text })}`);
  search(textQuery(text, label));
}

function searchByFile(file) {
  if (file.size > state.health.upload_bytes) {
    showProblem(`${file.name}: ${mebibytes(file.size)} exceeds the limit of ${mebibytes(state.health.upload_bytes)}`);
    return;
  }
  history.pushState({}, "", "/");
  search(fileQuery(file));
}

// ---- status and results

function busy(what, share = 0) {
  const starts = $("busy").hidden && what !== null;
  $("busy").hidden = what === null;
  $("result").setAttribute("aria-busy", what !== null);
  if (what === null) return;
  if (starts) $("busy").scrollIntoView({ block: "nearest" });
  $("doing").textContent = `${what} …`;
  if (share > 0 && share < 1) $("progress").value = share;
  else $("progress").removeAttribute("value");
}

function showProblem(problem) {
  $("problem").hidden = problem === null;
  $("problem").textContent = problem ?? "";
  if (problem !== null) $("problem").scrollIntoView({ block: "nearest" });
}

const NOTES = {
  no_audio: "The video has no audio: the search used its frames only.",
  held: "The sound is longer than the pictures; the last frame was used until it ends.",
  early_sound: "Sound before the first frame was not used.",
  joined: "The file is joined from several recordings; all were used.",
  short: "The video has few frames; some were used more than once.",
  truncated: "The file is truncated; the search used what could be decoded.",
  damaged: "Parts of the file are damaged; the search used the rest.",
};

function show(query, reply) {
  $("heading").textContent = query.title;
  const total = reply.answers.length;
  $("summary").textContent = total
    ? `${count(total, "answer")} in ${reply.seconds < 1 ? `${Math.round(reply.seconds * 1000)} ms` : `${reply.seconds.toFixed(1)} s`}, best first`
    : "No answers.";
  $("notes").textContent = reply.notes.map((note) => NOTES[note] ?? note).join(" ");
  $("asked").replaceChildren(query.show());
  $("answers").replaceChildren(...reply.answers.map((answer, index) => card(answer, index + 1, reply.bits)));
  $("result").hidden = false;
  $("heading").focus({ preventScroll: true });
  $("result").scrollIntoView({ block: "start", behavior: "auto" });
}

function card(answer, rank, bits) {
  const more = make("button", { type: "button", className: "plain", textContent: "More like this" });
  more.setAttribute("aria-label", `More like ${answer.id}`);
  more.onclick = () => searchById(answer.id);
  const score = answer.score === null ? null : make("span", { textContent: `score ${answer.score.toFixed(3)}` });
  return make("li", {},
    player(answer),
    make("p", { className: "line" },
      make("span", { className: "rank", textContent: rank }),
      make("span", { textContent: `distance ${answer.distance} of ${bits}` }),
      score),
    bar(1 - answer.distance / bits),
    make("p", { className: "id caption", textContent: answer.id, title: answer.id }),
    answer.labels.length ? make("ul", { className: "labels" }, ...answer.labels.map((label) => make("li", { textContent: label }))) : null,
    more);
}

/** Fraction of equal bits, drawn from one half (chance) to one. */
function bar(agreement) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 100 1");
  svg.setAttribute("preserveAspectRatio", "none");
  const rect = document.createElementNS("http://www.w3.org/2000/svg", "rect");
  rect.setAttribute("width", Math.max(0, (agreement - 0.5) * 200));
  rect.setAttribute("height", 1);
  svg.append(rect);
  const box = make("div", { className: "bar", title: `${Math.round(agreement * 100)} % of the bits are equal` }, svg);
  box.setAttribute("aria-hidden", "true");
  return box;
}

// ---- thumbnails and players

function thumbnailImage(address) {
  const image = make("img", { alt: "", loading: "lazy", decoding: "async" });
  image.onerror = () => image.parentElement?.classList.add("missing");
  if (address) image.src = address;
  return image;
}

/** A thumbnail that is replaced by a player when clicked. */
function player(video) {
  if (!video.media) return make("div", { className: "frame still missing" });
  const button = make("button", { type: "button", className: "frame" }, thumbnailImage(video.thumbnail), make("span", { className: "play" }));
  button.setAttribute("aria-label", `Play ${video.id}`);
  button.onclick = () => {
    for (const other of document.querySelectorAll("video")) other.pause();
    const frame = playing(video.media);
    button.replaceWith(frame);
    frame.querySelector("video").focus();
  };
  return button;
}

function playing(address, autoplay = true) {
  const film = make("video", { src: address, controls: true, autoplay, playsInline: true });
  const frame = make("div", { className: "frame still playing" }, film);
  film.onerror = () => frame.replaceChildren(make("p", { className: "cannot" },
    "This browser cannot play the file.", make("a", { href: address, download: "", textContent: "Save it" })));
  return frame;
}

function storedFrame(id) {
  const name = encodeURIComponent(id);
  return player({ id, media: `/media/${name}`, thumbnail: `/thumbnails/${name}` });
}

function localFrame(address) {
  const frame = playing(address, false);
  frame.querySelector("video").onerror = () => frame.replaceChildren(make("p", { className: "cannot", textContent: "This browser cannot play the file." }));
  return frame;
}

// ---- the list of videos

async function list(start = 0) {
  const prefix = $("prefix").value;
  const listing = ++state.listing;
  try {
    const page = await get(`/api/videos?${new URLSearchParams({ prefix, start, count: 24 })}`);
    if (listing !== state.listing) return;
    if (start === 0) {
      $("videos").replaceChildren();
      state.shown = 0;
    }
    $("videos").append(...page.videos.map(choice));
    state.shown += page.videos.length;
    $("listed").replaceChildren(page.total ? `${state.shown.toLocaleString("en")} of ${count(page.total, "video")} ` : "No id starts with this prefix.");
    if (state.shown < page.total) {
      const more = make("button", { type: "button", className: "plain", textContent: "show more" });
      more.onclick = () => list(state.shown);
      $("listed").append(more);
    }
  } catch (error) {
    showProblem(error.message);
  }
}

function choice(video) {
  const frame = make("span", { className: video.thumbnail ? "frame" : "frame missing" }, thumbnailImage(video.thumbnail));
  const title = [video.id, ...video.labels].join(" · ");
  const button = make("button", { type: "button", title }, frame, make("span", { className: "caption", textContent: video.id }));
  button.onclick = () => searchById(video.id);
  return make("li", {}, button);
}

// ---- start

function repeat() {
  if (state.query) search(state.query);
}

function restoreFromAddress() {
  const asked = new URLSearchParams(location.search);
  const id = asked.get("id"), text = asked.get("text");
  if (id !== null) search(idQuery(id));
  else if (text !== null) search(textQuery(text, asked.get("label")));
  else {
    state.request?.abort();
    $("result").hidden = true;
    state.query = null;
  }
}

function acceptFiles() {
  const form = $("upload");
  form.hidden = !state.health.uploads;
  if (form.hidden) return;
  $("largest").textContent = `, up to ${mebibytes(state.health.upload_bytes)}`;
  $("file").onchange = () => {
    if ($("file").files.length) searchByFile($("file").files[0]);
    $("file").value = "";
  };
  let depth = 0;
  const over = (change) => form.classList.toggle("over", (depth = Math.max(0, depth + change)) > 0);
  window.addEventListener("dragenter", () => over(1));
  window.addEventListener("dragleave", () => over(-1));
  window.addEventListener("dragover", (event) => event.preventDefault());
  window.addEventListener("drop", (event) => {
    event.preventDefault();
    over(-depth);
    if (event.dataTransfer.files.length) searchByFile(event.dataTransfer.files[0]);
  });
}

function acceptWords() {
  const form = $("wording");
  form.hidden = !state.health.texts;
  $("class").append(...state.health.classes.map((name) => make("option", { value: name, textContent: name })));
  $("classing").hidden = state.health.classes.length === 0;
  form.onsubmit = (event) => {
    event.preventDefault();
    if ($("words").value.trim()) searchByText($("words").value.trim(), $("class").value);
  };
}

async function start() {
  try {
    state.health = await get("/health");
  } catch {
    showProblem("the service cannot be reached");
    return;
  }
  $("facts").textContent = `${count(state.health.videos, "video")}, ${state.health.bits} bits each`;
  $("reranking").hidden = !state.health.rerank;
  const tops = [10, 20, 50, 100].filter((top) => top <= state.health.top);
  $("top").append(...(tops.length ? tops : [state.health.top]).map((top) => make("option", { value: top, textContent: top })));
  $("top").onchange = repeat;
  $("rerank").onchange = repeat;
  $("cancel").onclick = () => state.request?.abort();
  let typing = 0;
  $("prefix").oninput = () => {
    clearTimeout(typing);
    typing = setTimeout(list, 200);
  };
  acceptFiles();
  acceptWords();
  window.addEventListener("popstate", restoreFromAddress);
  if (["id", "text"].some((name) => new URLSearchParams(location.search).has(name))) restoreFromAddress();
  list();
}

start();
