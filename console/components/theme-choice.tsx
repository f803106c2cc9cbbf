import { type Theme, theme } from '../store/session.ts';

const NEXT: Record<Theme, Theme> = { auto: 'light', light: 'dark', dark: 'auto' };
const SIGNS: Record<Theme, string> = { auto: '◐', light: '☀', dark: '☾' };

export function ThemeChoice() {
  const current = theme.value;
  const label = `Theme: ${current === 'auto' ? 'as the system' : current}`;
  return (
    <button
      type="button"
      class="quiet"
      aria-label={label}
      title={label}
      onClick={() => {
        theme.value = NEXT[current];
      }}
    >
      {SIGNS[current]}
    </button>
  );
}
