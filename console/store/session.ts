import { effect, signal } from '@preact/signals';
import { type Place, placeOf } from '../addresses.ts';

// The one store: who asks, where the console is, how it looks, and beside this file what the API has said. Nothing that it holds is kept
// elsewhere; a component's own state is what somebody is typing.

const KEY = 'weft-key';
const THEME = 'weft-theme';
export type Theme = 'auto' | 'light' | 'dark';

/** The API key, kept for this tab; null asks for one. */
export const key = signal<string | null>(sessionStorage.getItem(KEY));
/** Whether the API has refused the key that was given last. */
export const isKeyRefused = signal(false);
export const place = signal<Place>(placeOf(new URL(location.href)));
export const theme = signal<Theme>((localStorage.getItem(THEME) as Theme | null) ?? 'auto');

effect(() => {
  if (key.value === null) sessionStorage.removeItem(KEY);
  else sessionStorage.setItem(KEY, key.value);
});
effect(() => {
  document.documentElement.dataset.theme = theme.value;
  if (theme.value === 'auto') localStorage.removeItem(THEME);
  else localStorage.setItem(THEME, theme.value);
});
addEventListener('popstate', () => {
  place.value = placeOf(new URL(location.href));
});

/** Goes to an address of the console. */
export function go(address: string, { replace = false } = {}): void {
  if (replace) history.replaceState(null, '', address);
  else history.pushState(null, '', address);
  place.value = placeOf(new URL(location.href));
}

export function signIn(given: string): void {
  isKeyRefused.value = false;
  key.value = given;
}

/** Forgets the key; what was seen with it goes too. */
export function signOut(refused = false): void {
  isKeyRefused.value = refused;
  key.value = null;
}
