import { two } from "./format.js"

export const now = (date = new Date()) => `${two(date.getHours())}:${two(date.getMinutes())}`
