import "./greet.css";

export const greet = (name) => `hello from ${name}`;
