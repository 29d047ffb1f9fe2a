/** The equation, once. Potentials z are rescaled: -1 is where inhibition pulls to, +1 where excitation does. */
"use strict";

/**
 * Where a membrane settles: the average of what pulls at it, weighed by conductance.
 * @param {number} E excitatory conductance that is open, leak included
 * @param {number} I inhibitory conductance that is open, leak included
 * @returns {number} z = (E - I) / (E + I)
 */
function steadyState(E, I) {
  const total = E + I;
  return total > 0 ? (E - I) / total : 0;
}

/**
 * The potential a moment later, the exact solution of C dV/dt = E (1 - V) - I (1 + V) while E and I stay.
 * @param {number} V the potential now
 * @param {number} E in nS
 * @param {number} I in nS
 * @param {number} ms how much later
 * @param {number} picofarads the capacitance C
 */
function later(V, E, I, ms, picofarads) {
  const z = steadyState(E, I);
  return z + (V - z) * Math.exp((-ms * (E + I)) / picofarads);
}

/** How far a cell's synapses onto others are open at z: nothing below the threshold, all of it at its top. */
function openProbability(z, threshold, width) {
  return Math.min(Math.max((z - threshold) / width, 0), 1);
}

/** Scores as shares that add up to 1. */
function softmax(scores) {
  const most = Math.max(...scores);
  const powers = Array.from(scores, (score) => Math.exp(score - most));
  const sum = powers.reduce((a, b) => a + b, 0);
  return powers.map((power) => power / sum);
}
