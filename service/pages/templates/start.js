"use strict";
const the = (id) => document.getElementById(id);
const FINISHED = ["completed", "failed", "cancelled"], CHECKED = ["gaussian", "sine"];
const FIRST = ["gaussian", "sine", "wire", "finer", "sinc", "gabor"]; // the others fold

const ask = async (path, options = {}) => { // the JSON of a good answer; a problem's own sentence otherwise
  const key = the("key").value.trim() || sessionStorage.getItem("key");
  if (key) {
    options.headers = { ...options.headers, Authorization: `Bearer ${key}` };
    sessionStorage.setItem("key", key);
  }
  const answer = await fetch(path, options);
  if (answer.status === 401) the("key-field").hidden = false;
  const body = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(body.detail || `The service answered ${answer.status}.`);
  return body;
};

const element = (tag, fields, ...children) => {
  const made = Object.assign(document.createElement(tag), fields);
  made.append(...children);
  return made;
};

const tell = (text, error = false) => {
  the("told").textContent = text;
  the("told").className = error ? "error" : "quiet";
};

const families = async () => {
  const { items } = await ask("/v1/activations");
  const rank = (one) => (FIRST.indexOf(one.family) + 1 || FIRST.length + 1);
  items.sort((a, b) => rank(a) - rank(b));
  for (const one of items) {
    the(FIRST.includes(one.family) ? "families" : "more-families").append(element("label", {},
      element("input", { type: "checkbox", name: "family", value: one.family, checked: CHECKED.includes(one.family) }),
      element("span", { textContent: one.family }),
      element("span", { className: "formula", textContent: one.formula })));
  }
};

const show = (file) => {
  the("chosen").textContent = `${file.name}, ${(file.size / 1000).toFixed(0)} kB`;
  const preview = the("preview");
  if (preview.src) URL.revokeObjectURL(preview.src);
  preview.hidden = true;
  preview.onload = () => { preview.hidden = false; };
  preview.onerror = () => { preview.hidden = true; };
  preview.src = URL.createObjectURL(file);
};

const start = async () => {
  const form = new FormData(the("form"));
  const whole = (name) => Number(form.get(name));
  const chosen = form.getAll("family");
  if (the("formula").value.trim()) chosen.push(the("formula").value.trim());
  if (!chosen.length) throw new Error("Choose at least one family.");
  if (!the("file").files.length) throw new Error("Choose a file first.");
  tell("Sending the file …");
  const upload = new FormData();
  upload.append("files", the("file").files[0]);
  upload.append("max_points", form.get("max_points"));
  const dataset = await ask("/v1/datasets", { method: "POST", body: upload });
  tell("Asking for the study …");
  const study = await ask("/v1/studies", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({
      dataset_id: dataset.id,
      activations: chosen.map((family) => ({ family })),
      network: { width: whole("width"), hidden_layers: whole("hidden_layers") },
      training: { steps: whole("steps") },
      search: { trials: whole("trials"), seed: whole("seed") },
      confirm: { finalists: whole("finalists"), seeds: whole("seeds") },
      objective: form.get("objective"),
    }),
  });
  location.assign(study.links.report);
};

the("form").addEventListener("submit", async (event) => {
  event.preventDefault();
  the("start").disabled = true;
  try {
    await start();
  } catch (error) {
    tell(error.message, true);
  }
  the("start").disabled = false;
});
the("file").addEventListener("change", () => the("file").files.length && show(the("file").files[0]));
for (const kind of ["dragenter", "dragover", "dragleave", "drop"]) {
  the("drop").addEventListener(kind, (event) => {
    event.preventDefault();
    the("drop").classList.toggle("over", kind === "dragenter" || kind === "dragover");
    if (kind !== "drop" || !event.dataTransfer.files.length) return;
    the("file").files = event.dataTransfer.files;
    show(the("file").files[0]);
  });
}

const names = new Map();
const nameOf = (id) => { // asked for once
  if (!names.has(id)) names.set(id, ask(`/v1/datasets/${id}`).then((one) => one.name, () => id));
  return names.get(id);
};

const entry = async (study) => {
  const asked = study.request.activations.map((one) => one.family).join(", ");
  const when = new Date(study.created).toLocaleString();
  const line = element("li", {},
    element("a", { className: "title", href: study.links.report, textContent: await nameOf(study.dataset_id) }),
    element("span", { className: `state ${study.state}`, textContent: study.state }),
    element("span", { className: "detail", textContent: `${asked}; asked for ${when}; study ${study.id}` }));
  const note = study.progress;
  if (note && !FINISHED.includes(study.state)) {
    const bar = element("progress", { max: 1, value: note.member_steps_done / Math.max(1, note.member_steps_total) });
    bar.setAttribute("aria-label", `Progress of study ${study.id}`);
    line.append(bar);
  }
  return line;
};

let shown = 20;
const noStudies = the("none").textContent;
const list = async () => {
  let again = 5000;
  try {
    const page = await ask(`/v1/studies?limit=${Math.min(shown, 200)}`);
    const lines = await Promise.all(page.items.map(entry));
    if (!the("list").contains(document.activeElement)) the("list").replaceChildren(...lines);
    the("list").hidden = !lines.length;
    the("none").textContent = noStudies;
    the("none").hidden = Boolean(lines.length);
    the("more").hidden = !page.next_cursor || shown >= 200;
    if (page.items.every((one) => FINISHED.includes(one.state))) again = 20000;
  } catch (error) {
    the("none").hidden = false;
    the("none").textContent = `The studies cannot be listed now: ${error.message}`;
  }
  clearTimeout(list.timer);
  list.timer = setTimeout(list, again);
};
the("more").addEventListener("click", () => { shown += 40; list(); });

const offer = () => families().then(() => { the("families-told").textContent = ""; }, (error) => {
  the("families-told").textContent = `The families cannot be listed now: ${error.message}`;
  setTimeout(offer, 5000);
});
offer();
list();
