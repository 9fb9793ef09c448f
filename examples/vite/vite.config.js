import { defineConfig } from "vite";

export default defineConfig({
  base: "/assets/",
  build: {
    manifest: true,
    outDir: "dist",
    rollupOptions: { input: ["src/main.js", "src/admin.js"] },
  },
});
