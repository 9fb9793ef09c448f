export const text = " and lazily";
