// "greeting" is a pin of the import map; "./clock.js" a neighbour, which the map covers as well.
import { greet } from "greeting"
import { now } from "./clock.js"

document.querySelector("#greeting").textContent = `${greet("you")}, at ${now()}`

// A tab that was opened before a release reloads once, when its user comes back to it.
const loaded = document.querySelector('meta[name="assets-version"]')?.content
document.addEventListener("visibilitychange", async () => {
  if (document.visibilityState !== "visible" || !loaded) return
  const current = await fetch("/assets-version", { cache: "no-store" }).then((answer) => answer.text())
  if (current === loaded || sessionStorage.getItem("reloaded-for") === current) return
  sessionStorage.setItem("reloaded-for", current)
  location.reload()
})
