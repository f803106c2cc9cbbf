import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';

it('docs/adapters.md gives the class that the parity check runs, and that merged folders bring along', () => {
  const code = readFileSync('gpu-node/export/modeling_mean.py', 'utf8').replace(/^"""[\s\S]*?"""\n+/, '');
  expect(readFileSync('docs/adapters.md', 'utf8')).toContain(`\`\`\`python\n${code}\`\`\``);
});
