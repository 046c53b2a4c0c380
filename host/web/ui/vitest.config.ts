import { defineConfig } from 'vitest/config';

// Machines that do other work as well take long for a test.
export default defineConfig({ test: { include: ['tests/**/*.test.ts'], testTimeout: 60_000 } });
