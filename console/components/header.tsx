import { addressOf, PLACES, type PlaceName } from '../addresses.ts';
import { key, place, signOut } from '../store/session.ts';
import { Link } from './link.tsx';
import { ThemeChoice } from './theme-choice.tsx';

const NAMES: Record<PlaceName, string> = {
  data: 'Data',
  training: 'Training',
  adapters: 'Adapters',
  compare: 'Compare',
  playground: 'Playground',
  fleet: 'Fleet',
};

export function Header() {
  return (
    <header class="top">
      <a class="skip" href="#place">
        Skip to content
      </a>
      <span class="brand">
        <img src="/console/assets/icon.svg" alt="" width="20" height="20" />
        Weft
      </span>
      <nav aria-label="Places">
        {PLACES.map((name) => (
          <Link key={name} to={addressOf(name)} aria-current={place.value.name === name ? 'page' : undefined}>
            {NAMES[name]}
          </Link>
        ))}
      </nav>
      <div class="tools">
        <ThemeChoice />
        {key.value !== null && (
          <button type="button" class="quiet" onClick={() => signOut()}>
            Forget key
          </button>
        )}
      </div>
    </header>
  );
}
