// Files dropped anywhere on the page, or chosen with an <input type="file" class="pcf-file">, go to the session together.
"use strict";
(() => {
  const drop = document.createElement("div");
  drop.className = "pcf-cover pcf-drop";
  drop.id = "drop_here";
  drop.textContent = "Drop CT, PET, MR or contour here: files, a DICOM folder, or a .zip of one";
  const sending = document.createElement("div");
  sending.className = "pcf-cover";
  sending.id = "upload";
  const sentence = document.createElement("p");
  sentence.id = "upload_text";
  sentence.setAttribute("role", "status");
  const bar = document.createElement("progress");
  bar.max = 1;
  const button = document.createElement("button");
  button.id = "upload_close";
  sending.append(sentence, bar, button);
  document.body.append(drop, sending);

  const hasFiles = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
  let request = null;

  const say = (text, label) => {
    sentence.textContent = text;
    button.textContent = label;
    bar.hidden = request === null;
    sending.setAttribute("data-shown", "");
  };
  const hide = () => sending.removeAttribute("data-shown");
  button.addEventListener("click", () => {
    if (request) request.abort();
    else hide();
  });

  const send = (files) => {
    if (request || files.length === 0) return;
    const form = new FormData();
    for (const file of files) form.append("file", file, file.name);
    request = new XMLHttpRequest();
    request.open("POST", "upload");
    const megabytes = files.reduce((sum, file) => sum + file.size, 0) / (1 << 20);
    say(`Sending ${files.length === 1 ? files[0].name : `${files.length} files`} (${megabytes.toFixed(1)} MB) ...`, "Cancel");
    bar.value = 0;
    request.upload.onprogress = (event) => { if (event.lengthComputable) bar.value = event.loaded / event.total; };
    request.upload.onload = () => {
      bar.removeAttribute("value");
      sentence.textContent = "Reading ...";
    };
    request.onload = () => {
      const answer = answerOf(request);
      request = null;
      if (answer.error) say(answer.error, "Close");
      else hide();
    };
    request.onerror = () => {
      request = null;
      say("The files could not be sent: the server stopped listening. They may be too large.", "Close");
    };
    request.onabort = () => {
      request = null;
      hide();
    };
    request.send(form);
  };
  const answerOf = (finished) => {
    try {
      const answer = JSON.parse(finished.responseText);
      if (answer.error || finished.status === 200) return answer;
    } catch { /* no answer of ours */ }
    return { error: `The server refused the files (${finished.status}).` };
  };

  // A dropped folder gives its files only piece by piece.
  const filesBelow = async (entry) => {
    if (entry.isFile) return [await new Promise((resolve, reject) => entry.file(resolve, reject))];
    const reader = entry.createReader();
    const found = [];
    for (;;) {
      const part = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
      if (part.length === 0) return found;
      for (const inner of part) found.push(...await filesBelow(inner));
    }
  };
  // In a folder, files without an ending are DICOM more often than not: the session looks. Others are left out.
  const taken = (file) => {
    if (file.name.startsWith(".") || file.name.toUpperCase() === "DICOMDIR" || file.size === 0) return [];
    if (/\.(nii|nii\.gz|nrrd|mha|dcm|zip)$/i.test(file.name)) return [file];
    const other = /\.[a-z]\w*$/i.test(file.name) && !/\.(ima|dic|dicom)$/i.test(file.name);
    return other ? [] : [new File([file], `${file.name}.dcm`)];
  };
  const dropped = async (transfer) => {
    const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
    if (!entries.some((entry) => entry.isDirectory)) return [...transfer.files];
    return (await Promise.all(entries.map(filesBelow))).flat().flatMap(taken);
  };

  let depth = 0;
  const over = (delta) => {
    depth = Math.max(0, depth + delta);
    drop.toggleAttribute("data-shown", depth > 0);
  };
  addEventListener("dragenter", (event) => { if (hasFiles(event)) { event.preventDefault(); over(1); } });
  addEventListener("dragleave", (event) => { if (hasFiles(event)) over(-1); });
  addEventListener("dragover", (event) => { if (hasFiles(event)) event.preventDefault(); });
  addEventListener("drop", async (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    over(-depth);
    send(await dropped(event.dataTransfer));
  });
  document.addEventListener("change", (event) => {
    if (!event.target.matches?.("input[type=file].pcf-file")) return;
    send([...event.target.files]);
    event.target.value = "";
  });
})();
