// Asks the server again and again what its assets are called now.
const PAUSE = 700;

export async function watch(source, { onAssets, onLost }) {
  for (;;) {
    if (!document.hidden) {
      try {
        const answer = await fetch(source, { cache: "no-store" });
        if (!answer.ok) throw new Error(`${source}: ${answer.status}`);
        onAssets(await answer.json());
      } catch {
        onLost();
      }
    }
    await new Promise((done) => setTimeout(done, PAUSE));
  }
}
