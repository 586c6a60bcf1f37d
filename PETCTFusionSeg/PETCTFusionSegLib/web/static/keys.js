// Keys of the workbench: asked of the session wherever the mouse is, but not while somebody types into a field.
"use strict";
(() => {
  const NAMES = { ArrowLeft: "Left", ArrowRight: "Right", ArrowUp: "Up", ArrowDown: "Down", Escape: "Esc", " ": "Space" };
  const WRITING = new Set(["text", "number", "search", "password", "email", "url", "tel", "date"]);

  const writes = (element) =>
    element instanceof HTMLElement &&
    (element.isContentEditable ||
      element.tagName === "TEXTAREA" ||
      element.tagName === "SELECT" ||
      (element.tagName === "INPUT" && WRITING.has(element.type) && !element.readOnly));

  // As a key is written in the list: "A", "Shift+N", "Ctrl+Z"; a sign needs no Shift, whatever the keyboard.
  const named = (event) => {
    const letter = event.key.length === 1;
    const key = NAMES[event.key] ?? (letter ? event.key.toUpperCase() : event.key);
    const shift = event.shiftKey && (!letter || /[A-Z]/.test(key));
    return `${event.ctrlKey || event.metaKey ? "Ctrl+" : ""}${event.altKey ? "Alt+" : ""}${shift ? "Shift+" : ""}${key}`;
  };

  addEventListener("keydown", (event) => {
    if (event.defaultPrevented || writes(event.target)) return;
    const trame = window.trame;
    const key = named(event);
    const known = trame?.state?.get("keys_list")?.find((one) => one.key === key);
    if (!known) return;
    event.preventDefault();
    if (!event.repeat || known.repeats) trame.trigger("keys_pressed", [key]);
  });
})();
