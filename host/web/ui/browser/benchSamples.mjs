// Percentiles of measured values.

/** Returns the value that a share of the samples do not exceed. */
export function percentile(samples, share) {
  const sorted = [...samples].sort((a, b) => a - b);
  return sorted[Math.ceil((sorted.length - 1) * share)];
}

export const median = (samples) => percentile(samples, 0.5);
