export const two = (number) => String(number).padStart(2, "0")
