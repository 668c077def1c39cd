{ // The study: one pair at a time, kept in this browser, and the answers as a file.
  const { id, pairs } = JSON.parse($("data").textContent).study;
  const SIDES = ["left", "right"];
  const QUESTIONS = {
    realism: ["Realism", "very unrealistic", "very realistic"],
    relevance: ["Relevance to the sentence", "very unrelated", "very related"],
  };
  const kept = "lead-study-" + id;

  // Every participant sees the pairs in an own order.
  function begin() {
    const random = (count) => [...crypto.getRandomValues(new Uint32Array(count))];
    const draws = random(pairs.length);
    return {
      participant: random(2).map((word) => word.toString(16).padStart(8, "0")).join(""),
      order: pairs.map((_, number) => number).sort((a, b) => draws[a] - draws[b]),
      place: -1, started: new Date().toISOString(), ratings: {},
    };
  }

  function restore() {
    try {
      const found = JSON.parse(localStorage.getItem(kept));
      return found && [...found.order].sort((a, b) => a - b).every((n, i) => n === i) && found.order.length === pairs.length ? found : null;
    } catch { return null; }
  }

  function save() {
    try { localStorage.setItem(kept, JSON.stringify(state)); } catch { $("unkept").hidden = false; }
  }

  const state = restore() ?? begin();
  const pairAt = (place) => pairs[state.order[place]];
  const ratingsOf = (pair) => (state.ratings[pair.pair] ??= { left: {}, right: {} });
  const rated = (pair, ...questions) => SIDES.every((side) => questions.every((q) => state.ratings[pair.pair]?.[side][q]));
  const complete = (pair) => rated(pair, ...Object.keys(QUESTIONS));

  function make(tag, values, ...children) {
    const element = Object.assign(document.createElement(tag), values);
    element.append(...children);
    return element;
  }

  function makeQuestions() {
    for (const [question, [title, low, high]] of Object.entries(QUESTIONS))
      for (const side of SIDES) {
        const scale = make("div", { className: "scale" });
        for (let value = 1; value <= 5; value++) {
          const input = make("input", { type: "radio", name: `${side}-${question}`, value });
          input.setAttribute("aria-label", value === 1 ? `1, ${low}` : value === 5 ? `5, ${high}` : value);
          input.onchange = () => rate(side, question, value);
          scale.append(make("label", {}, input, String(value)));
        }
        const ends = make("div", { className: "ends" }, make("span", {}, low), make("span", {}, high));
        $("sides").append(make("fieldset", { id: `${side}-${question}` }, make("legend", {}, `${title}, ${side}`), scale, ends));
      }
  }

  function rate(side, question, value) {
    ratingsOf(pairAt(state.place))[side][question] = value;
    save();
    update();
  }

  // What depends on the ratings: the sentence comes when realism is rated, Next when all is.
  function update() {
    const pair = pairAt(state.place), open = rated(pair, "realism");
    $("sentence").textContent = open ? `“${pair.text}”` : "Rate the realism of both; then you see what was asked for.";
    $("sentence").classList.toggle("waits", !open);
    for (const question of Object.keys(QUESTIONS))
      for (const side of SIDES) {
        const field = $(`${side}-${question}`), value = state.ratings[pair.pair]?.[side][question];
        field.disabled = question === "relevance" && !open;
        for (const input of field.querySelectorAll("input")) input.checked = Number(input.value) === value;
      }
    $("next").disabled = !complete(pair);
    $("hint").textContent = complete(pair) ? "" : "Rate both movements to go on.";
  }

  function go(place) {
    state.place = clamp(place, -1, pairs.length);
    save();
    const at = place < 0 ? "intro" : place < pairs.length ? "rating" : "end";
    document.documentElement.dataset.study = at;
    for (const part of ["intro", "end"]) $(part).hidden = at !== part;
    $("ratings").hidden = $("progress").hidden = at !== "rating";
    $("study").classList.toggle("rating", at === "rating");
    if (at === "rating") {
      const number = state.order[place];
      $("progress").textContent = `Pair ${place + 1} of ${pairs.length}`;
      update();
      reset();
      show([2 * number, 2 * number + 1]);
      play();
    } else pause();
    if (at === "end") finish();
    scrollTo(0, 0);
  }

  function answers() {
    return {
      schema: 1, study: id, participant: state.participant,
      started: state.started, exported: new Date().toISOString(), complete: pairs.every(complete),
      answers: state.order.map((number, place) => ({ ...pairs[number], place }))
        .filter(({ pair }) => state.ratings[pair])
        .map(({ pair, place }) => ({ pair, place, ...state.ratings[pair] })),
    };
  }

  function finish() {
    const done = pairs.filter(complete).length;
    $("thanks").textContent = done === pairs.length
      ? "Thank you! All pairs are rated. Save the answers and send the file back."
      : `${done} of ${pairs.length} pairs are rated.`;
    $("answers").value = JSON.stringify(answers());
  }

  function download() {
    const file = new Blob([JSON.stringify(answers(), null, 1) + "\n"], { type: "application/json" });
    const link = make("a", { href: URL.createObjectURL(file), download: `answers-${id}-${state.participant}.json` });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  }

  if (document.documentElement.dataset.state === "ready") {
    makeQuestions();
    $("begin").onclick = () => go(0);
    $("back").onclick = () => go(state.place - 1);
    $("next").onclick = () => go(state.place + 1);
    $("again").onclick = () => go(0);
    $("export").onclick = download;
    $("ratings").onsubmit = (event) => event.preventDefault();
    $("study").hidden = false;
    go(state.place);
  } else $("clips").hidden = true;
}
