// A fingerprint as a picture: its 256 bits as 16 columns of 16, folded to 32 by 8, one dot for each 1.
const SVG = "http://www.w3.org/2000/svg";

export function drawFingerprint(hex) {
  const bits = [...hex].flatMap((digit) => [8, 4, 2, 1].map((bit) => (parseInt(digit, 16) & bit ? 1 : 0)));
  const dots = bits.map((on, at) => (on ? `M${at % 23} ${Math.floor(at / 23)}h.86v.86h-.86z` : ""));
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 23 11.5");
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", `fingerprint ${hex.slice(0, 8)}…`);
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", dots.join(""));
  svg.append(path);
  return svg;
}
