import "./main.css";
import { greet } from "./greet.js";

document.body.append(greet("main"));
import("./lazy.js").then((lazy) => document.body.append(lazy.text));
