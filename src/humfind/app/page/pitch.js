// The pitch that is drawn while one hums: McLeod and Wyvill's pitch method (2005). What is searched is tracked by the server.
const LOWEST_HZ = 70;
const HIGHEST_HZ = 1000;
const CLEAR = 0.85;

// samples: Float32Array -> MIDI pitch, or null where none is clear.
export function pitchOf(samples, rate) {
  const shortest = Math.floor(rate / HIGHEST_HZ);
  const longest = Math.min(Math.floor(rate / LOWEST_HZ), Math.floor(samples.length / 2));
  const clarity = new Float32Array(longest + 1);
  for (let lag = shortest; lag <= longest; lag += 1) {
    let product = 0;
    let power = 0;
    for (let i = 0; i + lag < samples.length; i += 2) {
      product += samples[i] * samples[i + lag];
      power += samples[i] * samples[i] + samples[i + lag] * samples[i + lag];
    }
    clarity[lag] = power > 1e-9 ? (2 * product) / power : 0;
  }
  let best = 0;
  for (let lag = shortest + 1; lag < longest; lag += 1) best = Math.max(best, clarity[lag]);
  if (best < CLEAR) return null;
  for (let lag = shortest + 1; lag < longest; lag += 1) {
    if (clarity[lag] >= 0.93 * best && clarity[lag] >= clarity[lag - 1] && clarity[lag] >= clarity[lag + 1]) {
      const curve = clarity[lag - 1] - 2 * clarity[lag] + clarity[lag + 1];
      const shift = curve ? (clarity[lag - 1] - clarity[lag + 1]) / (2 * curve) : 0;
      return 69 + 12 * Math.log2(rate / (lag + shift) / 440);
    }
  }
  return null;
}

export function levelOf(samples) {
  let power = 0;
  for (const sample of samples) power += sample * sample;
  return Math.sqrt(power / samples.length);
}
