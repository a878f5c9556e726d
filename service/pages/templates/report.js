"use strict";
document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  const source = document.getElementById(button.dataset.copy);
  let copied = true;
  try {
    await navigator.clipboard.writeText(source.textContent);
  } catch { // no permission, or a page that is not secure
    getSelection().selectAllChildren(source);
    copied = document.execCommand("copy");
  }
  button.textContent = copied ? "Copied" : "Select and copy";
  document.getElementById("copied").textContent = copied ? "Copied to the clipboard" : "Press the keys that copy";
  setTimeout(() => { button.textContent = "Copy"; }, 2000);
});

addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((one) => { one.open = true; }));

const main = document.querySelector("main[data-live]");
if (main) {
  const address = main.dataset.live, every = 1000 * main.dataset.every;
  const words = { search: "Searching", continue: "Training the best ones to the end", confirm: "Confirming with fresh seeds" };
  let seen = "", phase = "", pause = 0;

  const told = (study) => {
    const note = study.progress;
    if (study.state === "queued" || !note) return "Waiting for a runner.";
    const parts = [`${words[note.phase] || note.phase}: ${note.trials_done} of ${note.trials_total} trials`];
    if (note.phase !== "search") parts.push(`${note.runs_done} of ${note.runs_total} runs`);
    if (note.best_score !== null) parts.push(`best so far ${note.best_score.toFixed(note.unit === "dB" ? 2 : 0)} ${note.unit} (${note.best_family}, trial ${note.best_trial})`);
    if (study.seconds_left !== null) parts.push(`about ${duration(study.seconds_left)} left`);
    return parts.join(", ") + ".";
  };

  const duration = (seconds) => (seconds < 90 ? `${Math.round(seconds)} s` : `${Math.round(seconds / 60)} min`);

  const refresh = async () => { // the plots so far, at most once in five seconds
    const began = performance.now();
    const page = new DOMParser().parseFromString(await (await fetch(location.href)).text(), "text/html");
    const fresh = page.getElementById("so-far");
    if (fresh) document.getElementById("so-far").replaceChildren(...fresh.childNodes);
    pause = performance.now() + Math.max(5000, 10 * (performance.now() - began));
  };

  const look = async () => {
    try {
      const answer = await fetch(address);
      if (!answer.ok) throw new Error(`the service answers ${answer.status}`);
      const study = await answer.json();
      if (["completed", "failed", "cancelled"].includes(study.state)) return location.reload();
      const note = study.progress;
      document.getElementById("told").textContent = told(study);
      if (note) document.getElementById("bar").value = note.member_steps_done / Math.max(1, note.member_steps_total);
      if (note && note.phase !== phase) document.getElementById("phase").textContent = words[phase = note.phase] || phase;
      const mark = note ? `${note.trials_done}` : "";
      if (mark !== seen && performance.now() > pause) { seen = mark; await refresh(); }
    } catch (error) {
      document.getElementById("told").textContent = `The service cannot be asked now (${error.message}); trying again.`;
    }
    setTimeout(look, every);
  };

  document.getElementById("cancel").addEventListener("click", async (event) => {
    event.target.disabled = true;
    const key = sessionStorage.getItem("key"); // the start page asked for it, where keys are in use
    const headers = key ? { Authorization: `Bearer ${key}` } : {};
    try {
      const answer = await fetch(`${address}/cancel`, { method: "POST", headers });
      if (answer.status === 401) throw new Error("it needs an API key, which the start page asks for");
      if (!answer.ok) throw new Error(`the service answers ${answer.status}`);
      event.target.textContent = "Cancelling";
    } catch (error) {
      event.target.textContent = `Try again: not cancelled, ${error.message}`;
      event.target.disabled = false;
    }
  });
  look();
}
