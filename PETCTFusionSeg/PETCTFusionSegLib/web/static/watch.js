// Says when the session or the server is gone: a page that only stops answering leaves one guessing.
"use strict";
(() => {
  const cover = document.createElement("div");
  cover.className = "pcf-cover";
  cover.id = "session_ended";
  cover.setAttribute("role", "alertdialog");
  const sentence = document.createElement("p");
  const form = document.createElement("form");
  form.method = "post";
  form.action = "begin";
  const button = document.createElement("button");
  button.id = "session_begin";
  button.textContent = "Begin again";
  form.append(button);
  cover.append(sentence, form);
  document.body.append(cover);

  let lost = false;
  const show = (text, canBegin) => {
    sentence.textContent = text;
    form.hidden = !canBegin;
    cover.toggleAttribute("data-shown", Boolean(text));
  };
  const events = new EventSource("events");
  events.addEventListener("ended", (event) => {
    events.close();
    show(JSON.parse(event.data) || "The session has ended.", true);
  });
  events.onopen = () => {
    // The page's own connection does not come back by itself; the session still has everything.
    if (lost) location.reload();
  };
  events.onerror = () => {
    lost = true;
    if (leaving) return;
    const gone = events.readyState === EventSource.CLOSED;
    show(
      gone
        ? "This address is not valid any more: the server was started anew. Open the address that it printed."
        : "The server does not answer. The page returns as soon as it does.",
      false,
    );
  };
  let leaving = false;
  addEventListener("pagehide", () => { leaving = true; });
})();
