// The names below are bare; the import map in the page says which file of which version each one is.
import { drawRows } from "demo/rows";
import { watch } from "demo/watch";

const body = document.querySelector("#assets");
const look = document.querySelector("#look");
const news = document.querySelector("#news");

news.addEventListener("click", () => location.reload());

watch(body.dataset.source, {
  onAssets(assets) {
    look.dataset.state = "found";
    look.textContent = "looking every second";
    const changed = drawRows(body, assets);
    if (changed.length) {
      news.hidden = false;
      news.textContent = `${changed.at(-1)} has a new name: reload`;
    }
  },
  onLost() {
    look.dataset.state = "lost";
    look.textContent = "the server does not answer";
  },
});
