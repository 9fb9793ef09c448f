export const greet = (whom) => `Hello ${whom}`
